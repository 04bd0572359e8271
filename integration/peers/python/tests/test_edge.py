import asyncio
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import format_trace_id

from jeeves.config import Relation, read_config
from jeeves.gateway.edge import Edge, Message, Receive, Scope, Send, note_span
from jeeves.spans import attached

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01".encode()
HEADERS = [(b"traceparent", PARENT), (b"tracestate", b"v=1"), (b"baggage", b"tenant=a%20b,secret=1"), (b"host", b"x")]


def seen_behind(relation: Relation, allowed: frozenset[str] | None) -> dict[bytes, bytes]:
    """The headers that the instrumented application gets."""
    seen: dict[bytes, bytes] = {}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.update(scope["headers"])

    pass_through(Edge(app, replace(read_config({}), edge_relation=relation, edge_baggage=allowed)))
    return seen


def pass_through(edge: Edge) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(edge({"type": "http", "headers": list(HEADERS)}, receive, send))
    return sent


def test_a_child_sees_all_that_was_sent() -> None:
    assert seen_behind("child", None) == dict(HEADERS)


@pytest.mark.parametrize("relation", ["link", "none"])
def test_a_new_trace_sees_nothing_of_the_sender(relation: Relation) -> None:
    assert seen_behind(relation, None) == {b"host": b"x"}


@pytest.mark.parametrize("relation", ["link", "none"])
def test_named_baggage_comes_into_a_new_trace(relation: Relation) -> None:
    assert seen_behind(relation, frozenset({"tenant"})) == {b"host": b"x", b"baggage": b"tenant=a+b"}


def test_a_child_gets_named_baggage_only() -> None:
    expected = {b"traceparent": PARENT, b"tracestate": b"v=1", b"host": b"x"}

    assert seen_behind("child", frozenset({"tenant"})) == {**expected, b"baggage": b"tenant=a+b"}
    assert seen_behind("child", frozenset()) == expected


def test_every_answer_has_the_trace_id() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        span: Any = trace.NonRecordingSpan(trace.SpanContext(int(TRACE_ID, 16), 1, is_remote=False))
        note_span(span, scope)
        await send({"type": "http.response.start", "status": 500, "headers": []})

    (start,) = pass_through(Edge(app, read_config({})))

    assert start["headers"] == [(b"x-trace-id", format_trace_id(int(TRACE_ID, 16)).encode())]


def test_a_request_is_no_part_of_the_one_before_on_its_connection() -> None:
    active: list[trace.Span] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        active.append(trace.get_current_span())

    before = trace.NonRecordingSpan(trace.SpanContext(int(TRACE_ID, 16), 1, is_remote=False))
    with attached(trace.set_span_in_context(before)):
        pass_through(Edge(app, read_config({})))

    assert active == [trace.INVALID_SPAN]
