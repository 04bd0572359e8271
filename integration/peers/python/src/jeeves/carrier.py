"""How a BullMQ job carries its sender's context: a string of JSON in `opts.tm`, in Redis.

The port for Python neither reads nor writes it, and has no hook for tracing: these lines are the whole of it.
"""

import json
from collections.abc import Mapping

from opentelemetry import propagate
from opentelemetry.context import Context


def options(opts: Mapping[str, object]) -> dict[str, object]:
    """The options of a job that is added, with the current context in them."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return {**opts, "tm": json.dumps(carrier)} if carrier else dict(opts)


def sender(opts: Mapping[str, object]) -> Context:
    """The context a job was added in; an empty one when it has none that can be read."""
    metadata = opts.get("tm") or "{}"
    try:
        carrier = json.loads(metadata) if isinstance(metadata, str) else None
    except (ValueError, RecursionError):
        carrier = None
    fields = carrier.items() if isinstance(carrier, dict) else ()
    return propagate.extract({key: value for key, value in fields if isinstance(value, str)}, Context())
