"""The two ways to chat: all of the answer at once, and as server-sent events."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import JSONResponse, StreamingResponse
from opentelemetry.context import Context
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from starlette.requests import ClientDisconnect

from jeeves.config import Config
from jeeves.gateway.errors import HttpError, invalid, refused, to_http_error
from jeeves.messages import reasons
from jeeves.rpc import replies
from jeeves.service import message_of, say
from jeeves.spans import attached, with_request
from jeeves.v1 import orchestrator_pb2

MAX_BODY_BYTES = 100 * 1024
# A larger body is read to its end, up to here, so that the sender hears the answer; beyond, the connection is cut.
_MAX_DISCARDED_BYTES = 16 * 1024 * 1024
_DEADLINE_S = 45


class ChatRequest(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    message: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=16_384)]
    session_id: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    user_id: Annotated[str, StringConstraints(max_length=128)] = ""
    mode: Literal["sequential", "parallel"] = "sequential"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The request to the orchestrator, and the context that carries its ids."""

    request: orchestrator_pb2.PipelineRequest
    context: Context


async def accept(request: Request, x_provider_directive: Annotated[str | None, Header()] = None) -> Accepted:
    config: Config = request.app.state.config
    body = await _read_body(request)
    if not body or _media_type(request) != "application/json":
        raise invalid("body: expected a JSON object")
    # Only what begins like an object or a list is read as JSON at all.
    if body.lstrip()[:1] not in (b"{", b"["):
        raise refused(400, "the message is not JSON")
    try:
        chat = ChatRequest.model_validate_json(body)
    except ValidationError as error:
        if error.errors(include_url=False)[0]["type"] == "json_invalid":
            raise refused(400, "the message is not JSON") from None
        raise invalid(reasons(error, "body")) from None
    request_id = str(uuid4())
    directive = x_provider_directive if config.provider_directives else None
    return Accepted(
        orchestrator_pb2.PipelineRequest(
            request_id=request_id,
            session_id=chat.session_id,
            user_id=chat.user_id,
            message=chat.message,
            mode=chat.mode,
        ),
        with_request(request_id, chat.session_id, directive),
    )


router = APIRouter(prefix="/api/v1/chat")
Acceptance = Annotated[Accepted, Depends(accept)]


@router.post("")
async def chat(http: Request, accepted: Acceptance) -> JSONResponse:
    request_id = accepted.request.request_id
    try:
        with attached(accepted.context):
            reply = await http.app.state.orchestrator.ExecutePipeline(accepted.request, timeout=_DEADLINE_S)
    except Exception as error:
        raise to_http_error(error, request_id) from error
    return JSONResponse({"reply": reply.reply, "request_id": request_id})


@router.post("/stream")
async def stream(http: Request, accepted: Acceptance) -> StreamingResponse:
    # A client that goes away ends the iterator, and that cancels the call.
    return StreamingResponse(
        _events(http.app.state.orchestrator, accepted),
        media_type="text/event-stream",
        headers={"cache-control": "no-cache"},
    )


async def _events(orchestrator: Any, accepted: Accepted) -> AsyncIterator[bytes]:
    # The call takes the context with it when it is made; nothing stays attached across a `yield`.
    with attached(accepted.context):
        call = orchestrator.StreamPipeline(accepted.request, timeout=_DEADLINE_S)
    try:
        async for event in replies(call):
            match event.WhichOneof("event"):
                case "stage":
                    yield _event("stage", {"agent": event.stage.agent, "state": event.stage.state})
                case "text" if event.text:
                    yield _event("text", {"text": event.text})
                case "done":
                    yield _event("done", {"reply": event.done.reply, "request_id": event.done.request_id})
    except Exception as error:
        http_error = to_http_error(error, accepted.request.request_id)
        if http_error.status == 500:
            say(f"jeeves-gateway: a stream failed: {message_of(error)}")
        yield _event("error", http_error.body)


def _event(name: str, data: object) -> bytes:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"event: {name}\ndata: {text}\n\n".encode()


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _read_body(request: Request) -> bytes:
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise refused(415, "the body must not be encoded")
    body = bytearray()
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size <= MAX_BODY_BYTES:
                body += part
            elif size > _MAX_DISCARDED_BYTES:
                break
    except ClientDisconnect:
        raise refused(400, "the request was broken off") from None
    if size > MAX_BODY_BYTES:
        raise HttpError(413, {"statusCode": 413, "message": "request entity too large"})
    return bytes(body)
