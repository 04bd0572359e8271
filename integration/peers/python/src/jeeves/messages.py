"""The JSON form of proto/jeeves/v1/agents.proto. What comes from a socket is checked here, once."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

FailureCode = Literal["INVALID", "UNAVAILABLE", "INTERNAL"]
NotEmpty = Annotated[str, StringConstraints(min_length=1)]


class AgentRequest(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, alias_generator=to_camel)

    request_id: NotEmpty
    session_id: str = ""
    agent: Literal["planner", "executor"]
    message: Annotated[str, StringConstraints(max_length=65_536)]
    stream: bool = False
    correlation_id: NotEmpty
    reply_topic: Annotated[str, StringConstraints(min_length=1, max_length=249)]


@dataclass(frozen=True, slots=True)
class Failure:
    code: FailureCode
    message: str


def reply_to(request: AgentRequest, *, partial: str | None = None, result: str | None = None) -> dict[str, object]:
    """A reply with text: on the way, or final."""
    outcome = {"partial": partial} if partial is not None else {"result": result}
    return {**_addressed(request), **outcome}


def failure_of(request: AgentRequest, failure: Failure) -> dict[str, object]:
    """The reply of an agent that failed."""
    return {**_addressed(request), "failure": {"code": failure.code, "message": failure.message}}


def _addressed(request: AgentRequest) -> dict[str, object]:
    return {
        "requestId": request.request_id,
        "agent": request.agent,
        "correlationId": request.correlation_id,
    }


def reasons(error: ValidationError, whole: str) -> str:
    """The errors of a message, on one line, without the message itself. `whole` names the message as a whole."""
    return "; ".join(
        f"{'.'.join(str(part) for part in issue['loc']) or whole}: {issue['msg']}"
        for issue in error.errors(include_url=False, include_input=False, include_context=False)
    )
