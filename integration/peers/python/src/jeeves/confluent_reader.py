"""For the wire suite: a confluent-kafka consumer with its instrumentation, and a loop as its users write it.

For each record it makes `wire.handled` in the context that is current after `poll`, which the instrumentation has put
into a new trace that only links the sender, and then `wire.extracted` in the context of the record's headers.
"""

import asyncio
import os
import threading
from typing import Any

import confluent_kafka
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.confluent_kafka import ConfluentKafkaInstrumentor

from jeeves.config import Config, ConfigError
from jeeves.service import Service, run_role, say

NAME = "confluent-reader"
_ASSIGN_TIMEOUT_S = 45
_POLL_S = 0.2


class Reader:
    """Polls in a thread of its own, as the client wants it."""

    def __init__(self, config: Config, topic: str, group: str) -> None:
        self._loop = asyncio.get_running_loop()
        self.assigned = asyncio.Event()
        self._stopping = threading.Event()
        # Found by its name in the module: the instrumentation has put its own class there.
        self._consumer = confluent_kafka.Consumer(
            {
                "bootstrap.servers": config.kafka_brokers,
                "group.id": group,
                "client.id": NAME,
                "auto.offset.reset": "earliest",
            }
        )
        self._consumer.subscribe([topic], on_assign=self._on_assign)
        self._thread = threading.Thread(target=self._run, name="poll", daemon=True)
        self._thread.start()

    def running(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _on_assign(self, consumer: object, partitions: list[confluent_kafka.TopicPartition]) -> None:
        if partitions:
            self._loop.call_soon_threadsafe(self.assigned.set)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                record = self._consumer.poll(_POLL_S)
                if record is None:
                    continue
                if (error := record.error()) is not None:
                    say(f"{NAME}: {error.str()}")
                    continue
                _handle(record)
        finally:
            self._consumer.close()


def _handle(record: Any) -> None:
    tracer = trace.get_tracer("jeeves")
    key = (record.key() or b"").decode(errors="replace")
    attributes = {"wire.key": key}
    with tracer.start_as_current_span("wire.handled", attributes=attributes):
        pass
    headers = {name: (value or b"").decode(errors="replace") for name, value in record.headers() or []}
    sender = propagate.extract(headers, Context())
    with tracer.start_as_current_span("wire.extracted", context=sender, attributes=attributes):
        pass


async def start(config: Config) -> Service:
    topic, group = os.environ.get("TOPIC"), os.environ.get("GROUP")
    if not topic or not group:
        raise ConfigError("wrong configuration: TOPIC, GROUP: expected the names of a topic and a consumer group")
    ConfluentKafkaInstrumentor().instrument()
    reader = Reader(config, topic, group)
    try:
        await asyncio.wait_for(reader.assigned.wait(), _ASSIGN_TIMEOUT_S)
    except TimeoutError:
        raise ConnectionError(f"no partition of {topic} was assigned in {_ASSIGN_TIMEOUT_S} s") from None

    async def stop() -> None:
        await asyncio.to_thread(reader.stop)

    return Service(stop=stop, ready=reader.running)


if __name__ == "__main__":
    run_role(NAME, start)
