import grpc
import pytest
from grpc.aio import AioRpcError, Metadata
from pydantic import ValidationError

from jeeves.llm_gateway.provider import directive_headers
from jeeves.messages import AgentRequest, Failure, failure_of, reasons, reply_to
from jeeves.planner_worker import to_failure

REQUEST: dict[str, object] = {
    "requestId": "r-1",
    "agent": "planner",
    "message": "Plan a picnic",
    "correlationId": "c-1",
    "replyTopic": "jeeves.agents.replies",
}


def test_a_request_needs_no_more_than_its_sender_writes() -> None:
    request = AgentRequest.model_validate(REQUEST)

    assert (request.request_id, request.session_id, request.stream) == ("r-1", "", False)


@pytest.mark.parametrize(
    ("field", "value"),
    [("requestId", ""), ("agent", "my secret cook"), ("message", 42), ("stream", "yes"), ("replyTopic", "x" * 250)],
)
def test_a_request_that_is_no_request_is_refused_without_repeating_it(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as refused:
        AgentRequest.model_validate({**REQUEST, "message": "my secret", field: value})

    text = reasons(refused.value, "job")
    assert text.startswith(f"{field}: ")
    assert "secret" not in text


@pytest.mark.parametrize("data", [None, "text", 5, [REQUEST]])
def test_a_job_that_is_no_object_is_refused(data: object) -> None:
    with pytest.raises(ValidationError) as refused:
        AgentRequest.model_validate(data)

    assert reasons(refused.value, "job").startswith("job: ")


def test_a_reply_says_whom_it_answers_and_one_thing() -> None:
    request = AgentRequest.model_validate(REQUEST)
    addressed = {"requestId": "r-1", "agent": "planner", "correlationId": "c-1"}

    assert reply_to(request, partial="At") == {**addressed, "partial": "At"}
    assert reply_to(request, result="") == {**addressed, "result": ""}
    failed = failure_of(request, Failure("UNAVAILABLE", "the provider answered 500"))
    assert failed == {**addressed, "failure": {"code": "UNAVAILABLE", "message": "the provider answered 500"}}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "UNAVAILABLE"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "UNAVAILABLE"),
        (grpc.StatusCode.INTERNAL, "INTERNAL"),
    ],
)
def test_what_the_llm_gateway_says_becomes_the_failure(code: grpc.StatusCode, expected: str) -> None:
    failure = to_failure(AioRpcError(code, Metadata(), Metadata(), "its words"))

    assert (failure.code, failure.message) == (expected, "its words")


def test_any_other_error_is_internal() -> None:
    assert to_failure(ValueError("no such thing")) == Failure("INTERNAL", "no such thing")


def test_a_directive_becomes_headers_and_nothing_else_does() -> None:
    assert directive_headers("status=503,latency=200") == {"x-provider-status": "503", "x-provider-latency": "200"}
    assert directive_headers("authorization=1, cut=1\r\nx: y") == {"x-provider-cut": "1"}
    assert directive_headers("") == {}
