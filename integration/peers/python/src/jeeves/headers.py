"""For the wire suite: headers as Python's propagators write and read them, over HTTP on loopback.

POST /inject {traceId, spanId, flags, baggage}  ->  the headers
POST /extract {headers}                         ->  the same; null, null, null without a sender
"""

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry import baggage, propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, format_span_id, format_trace_id
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from jeeves.config import Config
from jeeves.messages import reasons
from jeeves.service import Service, host_port, run_role

_MAX_BODY_BYTES = 256 * 1024


class Inject(BaseModel):
    model_config = ConfigDict(strict=True, alias_generator=to_camel)

    trace_id: str
    span_id: str
    flags: int = 1
    baggage: dict[str, str] = {}


class Extract(BaseModel):
    model_config = ConfigDict(strict=True)

    headers: dict[str, str]


def inject(body: bytes) -> dict[str, object]:
    wanted = Inject.model_validate_json(body)
    span = SpanContext(
        int(wanted.trace_id, 16), int(wanted.span_id, 16), is_remote=False, trace_flags=TraceFlags(wanted.flags)
    )
    context = trace.set_span_in_context(NonRecordingSpan(span), Context())
    for name, value in wanted.baggage.items():
        context = baggage.set_baggage(name, value, context)
    headers: dict[str, object] = {}
    propagate.inject(headers, context)
    return headers


def extract(body: bytes) -> dict[str, object]:
    context = propagate.extract(Extract.model_validate_json(body).headers, Context())
    span = trace.get_current_span(context).get_span_context()
    return {
        "traceId": format_trace_id(span.trace_id) if span.is_valid else None,
        "spanId": format_span_id(span.span_id) if span.is_valid else None,
        "flags": int(span.trace_flags) if span.is_valid else None,
        "baggage": dict(baggage.get_all(context)),
    }


_PAGES = {"/inject": inject, "/extract": extract}


class Handler(BaseHTTPRequestHandler):
    timeout = 10

    def do_POST(self) -> None:
        page = _PAGES.get(self.path)
        if page is None:
            return self._answer(404, {"error": "no such page"})
        length = self.headers.get("content-length", "")
        if not length.isdigit() or int(length) > _MAX_BODY_BYTES:
            return self._answer(413, {"error": f"a content-length of at most {_MAX_BODY_BYTES} is needed"})
        body = self.rfile.read(int(length))
        try:
            self._answer(200, page(body))
        except ValidationError as error:
            self._answer(400, {"error": reasons(error, "body")})
        except ValueError as error:
            self._answer(400, {"error": str(error)})

    def _answer(self, code: int, answer: dict[str, object]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, fmt: str, *args: object) -> None:
        """Quiet: the suite says what it asks."""


async def start(config: Config) -> Service:
    server = ThreadingHTTPServer((config.host, config.port), Handler)
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()

    async def stop() -> None:
        await asyncio.to_thread(server.shutdown)
        server.server_close()

    return Service(address=host_port(config.host, server.server_address[1]), stop=stop)


if __name__ == "__main__":
    run_role("headers", start)
