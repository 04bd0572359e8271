"""Speaks OpenAI's chat completions to whatever LLM_BASE_URL names."""

import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urljoin

import aiohttp
from opentelemetry.instrumentation.aiohttp_client import create_trace_config
from pydantic import BaseModel, Field, ValidationError

from jeeves.config import Config
from jeeves.messages import reasons
from jeeves.spans import attached, directive_in_baggage, outside_context

_MAX_ANSWER_BYTES = 4 * 1024 * 1024
# Most of a stream is the wrapping of its pieces.
_MAX_STREAM_BYTES = 16 * _MAX_ANSWER_BYTES
_MAX_EVENT_BYTES = 1024 * 1024
# Callers bring deadlines that are shorter; this is for one that does not.
_TIMEOUT_S = 60
_DIRECTIVE = re.compile(r"(status|latency|cut)=(\d{1,5})", re.ASCII)
_FAILURES = (aiohttp.ClientError, TimeoutError, OSError, ValueError)


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Message(BaseModel):
    content: str


class _Choice(BaseModel):
    message: _Message


class _Completion(BaseModel):
    model: str
    choices: Annotated[list[_Choice], Field(min_length=1)]
    usage: _Usage | None = None


class _Delta(BaseModel):
    content: str | None = None


class _Piece(BaseModel):
    delta: _Delta


class _Chunk(BaseModel):
    model: str
    # The last chunk of some providers has the usage and no choice.
    choices: list[_Piece]
    usage: _Usage | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    text: str
    model: str
    prompt_tokens: int
    completion_tokens: int


class ProviderError(Exception):
    """The provider said no, or nothing that makes sense. `status` is its HTTP status, 0 when there is none."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class ProviderClient:
    """Made on the event loop; one session, whose connections are kept."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._session = aiohttp.ClientSession(
            # Makes the CLIENT span `POST`, and puts its traceparent into the request.
            trace_configs=[create_trace_config()],
            timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S),
            connector=aiohttp.TCPConnector(limit=0),
            read_bufsize=_MAX_EVENT_BYTES,
        )

    async def close(self) -> None:
        await self._session.close()

    async def complete(self, prompt: str) -> Completion:
        """Asks for all of the answer at once. Raises ProviderError."""
        async with await self._post(prompt, stream=False) as response:
            try:
                body = await _read(response)
            except _FAILURES as cause:
                raise ProviderError("the answer broke off", response.status) from cause
        try:
            answer = _Completion.model_validate_json(body)
        except ValidationError as error:
            raise ProviderError(f"bad answer: {reasons(error, 'body')}", response.status) from None
        return _to_completion(answer.choices[0].message.content, answer.model, answer.usage)

    async def stream(self, prompt: str, on_text: Callable[[str], None]) -> Completion:
        """Asks for the answer in pieces; each is handed over as it comes. Raises ProviderError."""
        pieces: list[str] = []
        model = self._config.llm_model
        usage: _Usage | None = None
        size = 0
        async with await self._post(prompt, stream=True) as response:
            async for data in _events(response.content):
                size += len(data)
                if size > _MAX_STREAM_BYTES:
                    raise ProviderError("the stream is too long", 0)
                if data == b"[DONE]":
                    return _to_completion("".join(pieces), model, usage)
                try:
                    chunk = _Chunk.model_validate_json(data)
                except ValidationError as error:
                    raise ProviderError(f"bad event: {reasons(error, 'event')}", 0) from None
                model = chunk.model
                usage = chunk.usage or usage
                piece = (chunk.choices[0].delta.content if chunk.choices else None) or ""
                if piece:
                    pieces.append(piece)
                    on_text(piece)
        raise ProviderError("the stream ended too early", 0)

    async def _post(self, prompt: str, *, stream: bool) -> aiohttp.ClientResponse:
        config = self._config
        headers = {"content-type": "application/json"}
        if config.llm_api_key is not None:
            headers["authorization"] = f"Bearer {config.llm_api_key}"
        if config.provider_directives:
            headers |= directive_headers(directive_in_baggage())
        body: dict[str, object] = {
            "model": config.llm_model,
            "stream": stream,
            "messages": [{"role": "user", "content": prompt}],
        }
        if stream:
            body["stream_options"] = {"include_usage": True}
        url = urljoin(config.llm_base_url, "/v1/chat/completions")
        try:
            # Baggage and tracestate are ours; the provider is not.
            with attached(outside_context()):
                response = await self._session.post(url, data=json.dumps(body).encode(), headers=headers)
        except _FAILURES as cause:
            raise ProviderError("the provider cannot be reached", 0) from cause
        if response.ok:
            return response
        response.release()
        raise ProviderError(f"the provider answered {response.status}", response.status)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > _MAX_ANSWER_BYTES:
            raise ValueError("the answer is too long")
    return bytes(body)


async def _events(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """The data of server-sent events."""
    data: list[bytes] = []
    while True:
        try:
            line = await content.readline()
        except _FAILURES as cause:
            raise ProviderError("the stream broke off", 0) from cause
        if not line:
            return
        line = line.rstrip(b"\r\n")
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif not line and data:
            yield b"\n".join(data)
            data = []


def _to_completion(text: str, model: str, usage: _Usage | None) -> Completion:
    used = usage or _Usage()
    return Completion(text, model, used.prompt_tokens, used.completion_tokens)


def directive_headers(directive: str) -> dict[str, str]:
    """`status=503,latency=200` as the request headers that the local provider obeys."""
    return {f"x-provider-{name}": value for name, value in _DIRECTIVE.findall(directive)}
