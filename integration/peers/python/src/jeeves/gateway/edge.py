"""The relation of a request from outside to the trace that its headers name, and the trace id on every answer."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from opentelemetry import baggage, propagate, trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.asgi import asgi_getter
from opentelemetry.trace import Span, SpanContext, format_trace_id

from jeeves.config import Config
from jeeves.spans import attached

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_TRACE_ID = "jeeves.trace_id"
_SENDER = "jeeves.sender"


class Edge:
    """Stands before the instrumented application, and decides what that gets to see of the sender's context.

    The instrumentation always continues the trace that the headers name. Where that is not wanted the headers are taken
    away, and what may come in of the baggage is written anew.
    """

    def __init__(self, app: App, config: Config) -> None:
        self._app = app
        self._relation = config.edge_relation
        self._allowed = config.edge_baggage
        self._hidden = self._hidden_headers()

    def _hidden_headers(self) -> frozenset[bytes]:
        if self._relation != "child":
            return frozenset(field.encode() for field in propagate.get_global_textmap().fields)
        return frozenset() if self._allowed is None else frozenset({b"baggage"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # The instrumentation reads header values as UTF-8, else as Python escapes, and a lone backslash ends it.
        scope["headers"] = [(name, _utf8(value)) for name, value in scope["headers"]]

        async def send_with_trace_id(message: Message) -> None:
            trace_id = scope.get(_TRACE_ID)
            if message["type"] == "http.response.start" and trace_id is not None:
                message["headers"] = [*message.get("headers", ()), (b"x-trace-id", trace_id)]
            await send(message)

        if self._hidden:
            self._hide(scope)
        # A connection whose reading was paused goes on in the context of the request that resumed it: without this the
        # next request on it would become part of that one's trace.
        with attached(Context()):
            await self._app(scope, receive, send_with_trace_id)

    def _hide(self, scope: Scope) -> None:
        sender = propagate.extract(dict(scope), Context(), asgi_getter)
        if self._relation == "link":
            scope[_SENDER] = trace.get_current_span(sender).get_span_context()
        allowed = self._allowed or frozenset()
        context = Context()
        for name, value in baggage.get_all(sender).items():
            if name in allowed:
                context = baggage.set_baggage(name, value, context)
        let_in: dict[str, str] = {}
        propagate.inject(let_in, context)
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name not in self._hidden] + [
            (name.encode(), value.encode()) for name, value in let_in.items()
        ]


def note_span(span: Span, scope: Scope) -> None:
    """For the instrumentation's `server_request_hook`: the span has begun, and what is known of the sender is here."""
    own = span.get_span_context()
    if own.is_valid:
        scope[_TRACE_ID] = format_trace_id(own.trace_id).encode()
    sender = scope.get(_SENDER)
    if isinstance(sender, SpanContext) and sender.is_valid:
        span.add_link(sender)


def _utf8(value: bytes) -> bytes:
    try:
        value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1").encode()
    return value
