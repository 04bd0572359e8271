import { context, ROOT_CONTEXT, type TextMapPropagator } from "@opentelemetry/api";
import { suppressTracing } from "@traceferry/core";
import { beforeEach, expect, test } from "vitest";
import { FakeBroker, FakeKafka } from "../fake-kafkajs.test-support.js";
import {
  idsOf,
  producerSpans,
  sentIds,
  startCaller,
  startRecording,
} from "../fixtures.test-support.js";
import { traceProducer } from "../index.js";

let broker: FakeBroker;
let untraced: ReturnType<FakeKafka["producer"]>;
beforeEach(() => {
  broker = new FakeBroker({ orders: 1, shipments: 1, spread: 3 });
  untraced = new FakeKafka(broker).producer();
});

const idsIn = (topic: string, partition?: number) => sentIds(broker, topic, partition);

test("each message of a call leaves with a context of its own, and its span has its partition and offset", async () => {
  using spans = startRecording();
  const caller = startCaller(spans);
  broker.partition("orders", 0).push({ key: null, value: null, headers: [] });

  await caller.run(() =>
    traceProducer(untraced, { clientId: "checkout" }).send({
      topic: "orders",
      messages: [{ value: "a" }, { value: "b" }, { value: null }],
    }),
  );
  caller.span.end();

  broker.partition("orders", 0).shift();
  expect(idsIn("orders")).toEqual(producerSpans(spans).map(idsOf));
  expect(producerSpans(spans).map(({ attributes }) => attributes["kafka.offset"])).toEqual([
    1, 2, 3,
  ]);
  expect(producerSpans(spans)[2]).toMatchObject({
    name: "send orders",
    parentSpanId: caller.span.spanContext().spanId,
    status: { code: "UNSET" },
    attributes: {
      "messaging.system.name": "kafka",
      "messaging.destination.name": "orders",
      "messaging.operation.name": "send",
      "messaging.operation.type": "send",
      "messaging.client.id": "checkout",
      "messaging.destination.partition.id": "0",
      "kafka.offset": 3,
      "kafka.message.tombstone": true,
    },
  });
});

test("a batch that repeats a topic gets its offsets as the client merges it", async () => {
  using spans = startRecording();

  await traceProducer(untraced).sendBatch({
    topicMessages: [
      { topic: "orders", messages: [{ value: "o0" }] },
      { topic: "shipments", messages: [{ value: "s0" }] },
      { topic: "orders", messages: [{ value: "o1" }] },
    ],
  });

  const byTopic = (topic: string) =>
    producerSpans(spans).filter(
      ({ attributes }) => attributes["messaging.destination.name"] === topic,
    );
  expect(idsIn("orders")).toEqual(byTopic("orders").map(idsOf));
  expect(idsIn("shipments")).toEqual(byTopic("shipments").map(idsOf));
  expect(byTopic("orders").map(({ attributes }) => attributes["kafka.offset"])).toEqual([0, 1]);
});

test("messages that request a partition have it from the start, and offsets in it", async () => {
  using spans = startRecording();
  const messages = [2, 0, 2].map((partition) => ({ value: "x", partition }));

  await traceProducer(untraced).send({ topic: "spread", messages });

  const metadata = producerSpans(spans).map(({ attributes }) => [
    attributes["messaging.destination.partition.id"],
    attributes["kafka.offset"],
  ]);
  expect(metadata).toEqual([
    ["2", 0],
    ["0", 0],
    ["2", 1],
  ]);
  expect(idsIn("spread", 2)).toEqual(
    [0, 2].map((index) => idsOf(producerSpans(spans)[index] ?? NONE)),
  );
});
const NONE = { traceId: "none", spanId: "none" };

test("messages that a partitioner spread have no partition and no offset", async () => {
  using spans = startRecording();

  await traceProducer(untraced).send({
    topic: "spread",
    messages: [{ value: "a" }, { value: "b" }],
  });

  for (const { attributes } of producerSpans(spans)) {
    expect(attributes["kafka.offset"]).toBeUndefined();
    expect(attributes["messaging.destination.partition.id"]).toBeUndefined();
  }
});

test("messages sent without acknowledgement have no offset", async () => {
  using spans = startRecording();

  await traceProducer(untraced).send({ topic: "orders", acks: 0, messages: [{ value: "a" }] });

  expect(producerSpans(spans)[0]?.attributes["kafka.offset"]).toBeUndefined();
});

test("what is sent while tracing is suppressed is not changed", async () => {
  using spans = startRecording();
  const ignoringSuppression: TextMapPropagator = {
    inject: (_, carrier, setter) => setter.set(carrier, "a", "1"),
    extract: (from) => from,
    fields: () => ["a"],
  };
  const producer = traceProducer(untraced, { propagator: ignoringSuppression });

  await context.with(suppressTracing(ROOT_CONTEXT), () =>
    producer.send({ topic: "orders", messages: [{ value: "a" }] }),
  );

  expect(broker.partition("orders", 0)[0]?.headers).toEqual([]);
  expect(spans.ended).toEqual([]);
  expect(spans.warnings).toEqual([]);
});

test.each([undefined, "", 7, null])("an invalid topic (%o) makes no span", async (topic) => {
  using spans = startRecording();
  const record = { topic, messages: [{ value: "a" }] };

  await expect(Reflect.apply(traceProducer(untraced).send, undefined, [record])).rejects.toThrow();

  expect(producerSpans(spans)).toEqual([]);
});

test("a client that responds synchronously does so when traced", () => {
  using spans = startRecording();
  const response = [{ topicName: "orders", partition: 0, errorCode: 0, baseOffset: "5" }];
  const client = { ...untraced };
  Reflect.set(client, "send", () => response);

  const returned: unknown = Reflect.apply(traceProducer(client).send, undefined, [
    { topic: "orders", messages: [{ value: "a" }] },
  ]);

  expect(returned).toBe(response);
  expect(spans.named("send orders").attributes["kafka.offset"]).toBe(5);
});
