"""The application's own spans, and what travels beside them as baggage."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import baggage, trace
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.util.types import Attributes

from jeeves.service import message_of

REQUEST_ID = "jeeves.request.id"
SESSION_ID = "jeeves.session.id"
# Asks the local provider to treat this request in some way, in development only.
DIRECTIVE = "jeeves.provider.directive"


@contextmanager
def in_span(name: str, attributes: Attributes, kind: SpanKind = SpanKind.INTERNAL) -> Iterator[Span]:
    """The span around one piece of work; what the work raises marks it and passes on."""
    tracer = trace.get_tracer("jeeves")
    with tracer.start_as_current_span(
        name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except (Exception, asyncio.CancelledError) as error:
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR, message_of(error)))
            raise


@contextmanager
def in_agent_span(name: str, kind: str) -> Iterator[Span]:
    """The span around the work of one agent; `kind` is llm, tool or service."""
    attributes = {
        "jeeves.agent.name": name,
        "jeeves.agent.type": kind,
        "jeeves.llm.calls": 1 if kind == "llm" else 0,
        "jeeves.request.id": request_id_in_baggage(),
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": name,
    }
    with in_span("agent.process", attributes) as span:
        yield span


@contextmanager
def attached(context: Context) -> Iterator[None]:
    token = attach(context)
    try:
        yield
    finally:
        detach(token)


def with_request(request_id: str, session_id: str, directive: str | None) -> Context:
    """The context in which every role downstream finds the ids of the request."""
    context = baggage.set_baggage(REQUEST_ID, request_id)
    context = baggage.set_baggage(SESSION_ID, session_id, context)
    return context if directive is None else baggage.set_baggage(DIRECTIVE, directive, context)


def request_id_in_baggage() -> str:
    """The request's id as it travelled here; empty when it did not."""
    return str(baggage.get_baggage(REQUEST_ID) or "")


def directive_in_baggage() -> str:
    return str(baggage.get_baggage(DIRECTIVE) or "")


def outside_context() -> Context:
    """The context for a call that leaves the system: the span's ids go with it, baggage and tracestate do not."""
    context = baggage.clear(get_current())
    span = trace.get_current_span().get_span_context()
    if not span.trace_state:
        return context
    bare = SpanContext(span.trace_id, span.span_id, span.is_remote, span.trace_flags)
    return trace.set_span_in_context(NonRecordingSpan(bare), context)
