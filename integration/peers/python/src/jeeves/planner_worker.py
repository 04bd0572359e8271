"""The role jeeves-planner-worker: jobs of BullMQ in, the LLM gateway asked, replies to Kafka out."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError
from bullmq import Job, Worker
from opentelemetry.instrumentation.aiokafka import AIOKafkaInstrumentor
from opentelemetry.trace import SpanKind
from pydantic import ValidationError

from jeeves.carrier import sender
from jeeves.config import Config
from jeeves.messages import AgentRequest, Failure, failure_of, reasons, reply_to
from jeeves.rpc import open_channel, replies
from jeeves.service import Service, message_of, run_role, say
from jeeves.spans import attached, in_agent_span, in_span
from jeeves.v1 import llm_pb2, llm_pb2_grpc

NAME = "jeeves-planner-worker"
QUEUE = "jeeves-planner"
CONCURRENCY = 20
_LLM_DEADLINE_S = 15
# Text travels on in few, batched replies: each is a message of the trace.
_MAX_PARTIALS = 10
_PARTIAL_CHARACTERS = 40
# Engines that have just started refuse for a while.
_CONNECT_TIMEOUT_S = 30
_CONNECT_PAUSE_S = 0.5
# After this the jobs that are left are given up, for the queue to hand out again: a role has 8 s to end.
_FINISH_TIMEOUT_S = 4.5

_UNAVAILABLE = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    }
)


class Planner:
    def __init__(self, llm: Any, producer: AIOKafkaProducer) -> None:
        self._llm = llm
        self._producer = producer

    async def work(self, job: Job, token: str) -> None:
        """Handles one job. Invalid data fails it: there is no reply topic, and a retry would not mend it."""
        with _in_job_span(job):
            try:
                request = AgentRequest.model_validate(job.data)
            except ValidationError as error:
                raise ValueError(reasons(error, "job")) from None
            # A failure of the work is its result: it goes out as the reply, and the job is done.
            try:
                with in_agent_span("planner", "llm"):
                    result = await (self._in_pieces(request) if request.stream else self._at_once(request))
                    await self._send(request, reply_to(request, result=result))
            except Exception as error:
                await self._send(request, failure_of(request, to_failure(error)))

    async def _at_once(self, request: AgentRequest) -> str:
        reply = await self._llm.Generate(_to_generate(request), timeout=_LLM_DEADLINE_S)
        return str(reply.text)

    async def _in_pieces(self, request: AgentRequest) -> str:
        waiting = ""
        partials = 0
        pieces: list[str] = []
        async for chunk in replies(self._llm.GenerateStream(_to_generate(request), timeout=_LLM_DEADLINE_S)):
            pieces.append(chunk.text)
            waiting += chunk.text
            # The last one is for all that is left.
            if len(waiting) >= _PARTIAL_CHARACTERS and partials < _MAX_PARTIALS - 1:
                await self._send(request, reply_to(request, partial=waiting))
                partials += 1
                waiting = ""
        if waiting:
            await self._send(request, reply_to(request, partial=waiting))
        return "".join(pieces)

    async def _send(self, request: AgentRequest, reply: dict[str, object]) -> None:
        correlation_id = request.correlation_id.encode()
        await self._producer.send_and_wait(
            request.reply_topic,
            key=correlation_id,
            value=json.dumps(reply).encode(),
            headers=[("correlation-id", correlation_id)],
        )


@contextmanager
def _in_job_span(job: Job) -> Iterator[None]:
    attributes = {
        "messaging.system.name": "bullmq",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": QUEUE,
        "messaging.message.id": str(job.id),
        "bullmq.job.name": str(job.name),
        "bullmq.job.attempts_made": job.attemptsMade + 1,
    }
    # Attached, and not just given to the span as its parent: the baggage has to come along.
    with attached(sender(job.opts)), in_span(f"process {QUEUE}", attributes, SpanKind.CONSUMER):
        yield


def _to_generate(request: AgentRequest) -> llm_pb2.GenerateRequest:
    return llm_pb2.GenerateRequest(request_id=request.request_id, agent=request.agent, prompt=request.message)


def to_failure(error: Exception) -> Failure:
    """The failure for the reply."""
    if not isinstance(error, grpc.aio.AioRpcError):
        return Failure("INTERNAL", message_of(error))
    details = error.details() or ""
    return Failure("UNAVAILABLE" if error.code() in _UNAVAILABLE else "INTERNAL", details)


async def start(config: Config) -> Service:
    AIOKafkaInstrumentor().instrument()
    producer = await _connect_producer(config)
    channel = open_channel(config.llm_gateway_address)
    planner = Planner(llm_pb2_grpc.LlmGatewayStub(channel), producer)
    worker = Worker(
        QUEUE,
        planner.work,
        # The pause after a lost connection is 15 s otherwise.
        {"connection": config.redis_url, "concurrency": CONCURRENCY, "runRetryDelay": 1000, "autorun": False},
    )
    worker.on("error", lambda error, *_: say(f"{NAME}: {type(error).__name__}: {error}"))
    worker.on("failed", lambda job, error: say(f"{NAME}: job {job.id} failed: {message_of(error)}"))
    try:
        await asyncio.wait_for(worker.backend.waitUntilReady(), _CONNECT_TIMEOUT_S)
    except TimeoutError:
        raise ConnectionError("Redis does not answer") from None
    running = asyncio.ensure_future(worker.run())

    async def stop() -> None:
        try:
            await asyncio.wait_for(asyncio.shield(closing := asyncio.ensure_future(worker.close())), _FINISH_TIMEOUT_S)
        except TimeoutError:
            say(f"{NAME}: gave up {len(worker.jobs)} jobs")
            closing.cancel()
            await worker.close(force=True)
        await channel.close(grace=None)
        await producer.stop()

    return Service(stop=stop, ready=lambda: not running.done(), failed=running)


async def _connect_producer(config: Config) -> AIOKafkaProducer:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _CONNECT_TIMEOUT_S
    while True:
        producer = AIOKafkaProducer(
            bootstrap_servers=config.kafka_brokers.split(","), client_id=NAME, acks="all", retry_backoff_ms=200
        )
        try:
            await producer.start()
            return producer
        except KafkaConnectionError as error:
            await producer.stop()
            if loop.time() > deadline:
                raise ConnectionError(f"Kafka does not answer: {message_of(error)}") from None
            await asyncio.sleep(_CONNECT_PAUSE_S)


if __name__ == "__main__":
    run_role(NAME, start)
