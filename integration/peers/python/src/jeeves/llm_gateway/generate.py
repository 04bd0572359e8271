"""One generation: the application's two spans around the provider's call."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import grpc

from jeeves.config import Config
from jeeves.llm_gateway.provider import Completion, ProviderError
from jeeves.service import message_of
from jeeves.spans import in_span, request_id_in_baggage
from jeeves.v1 import llm_pb2

# A made-up price of a thousand tokens of the local model, to have a figure on the span.
_USD_PER_1000_TOKENS = 0.002
_PREVIEW_CHARACTERS = 200


async def generate(
    config: Config, request: llm_pb2.GenerateRequest, call: Callable[[], Awaitable[Completion]]
) -> llm_pb2.GenerateReply:
    attributes = {
        "jeeves.agent.name": request.agent,
        "jeeves.request.id": request_id_in_baggage(),
    }
    if config.record_prompts:
        attributes["jeeves.llm.prompt.preview"] = request.prompt[:_PREVIEW_CHARACTERS]
    with in_span("llm.generate", attributes):
        completion = await _call_provider(config, call)
        usage = llm_pb2.Usage(input_tokens=completion.prompt_tokens, output_tokens=completion.completion_tokens)
        return llm_pb2.GenerateReply(text=completion.text, model=completion.model, usage=usage)


async def _call_provider(config: Config, call: Callable[[], Awaitable[Completion]]) -> Completion:
    provider = urlsplit(config.llm_base_url).hostname or ""
    attributes = {
        "jeeves.llm.provider": provider,
        "jeeves.llm.model": config.llm_model,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": config.llm_model,
    }
    with in_span("llm.provider.call", attributes) as span:
        completion = await call()
        prompt, answer = completion.prompt_tokens, completion.completion_tokens
        span.set_attributes(
            {
                "jeeves.llm.tokens.prompt": prompt,
                "jeeves.llm.tokens.completion": answer,
                "jeeves.llm.tokens.total": prompt + answer,
                "jeeves.llm.cost_usd": (prompt + answer) / 1000 * _USD_PER_1000_TOKENS,
                "gen_ai.usage.input_tokens": prompt,
                "gen_ai.usage.output_tokens": answer,
            }
        )
        return completion


def to_status(error: Exception) -> tuple[grpc.StatusCode, str]:
    """A failure as gRPC says it: the provider's own is UNAVAILABLE, too many requests RESOURCE_EXHAUSTED."""
    if not isinstance(error, ProviderError):
        return grpc.StatusCode.INTERNAL, message_of(error)
    code = grpc.StatusCode.RESOURCE_EXHAUSTED if error.status == 429 else grpc.StatusCode.UNAVAILABLE
    return code, message_of(error)
