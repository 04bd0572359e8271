import { context, ROOT_CONTEXT, type TextMapPropagator } from "@opentelemetry/api";
import { suppressTracing } from "@traceferry/core";
import { beforeEach, expect, test } from "vitest";
import { FakeBroker, FakeKafka } from "../fake-kafkajs.test-support.js";
import { traceProducer } from "../index.js";
import { carried, ids, record, sends, start } from "../sends.test-support.js";

let broker: FakeBroker;
let bare: ReturnType<FakeKafka["producer"]>;
beforeEach(() => {
  broker = new FakeBroker({ orders: 1, shipments: 1, spread: 3 });
  bare = new FakeKafka(broker).producer();
});

const there = (topic: string, partition?: number) => carried(broker, topic, partition);

test("each message of a call leaves with a context of its own, and its span knows where it lies", async () => {
  using spans = record();
  const caller = start(spans);
  broker.partition("orders", 0).push({ key: null, value: null, headers: [] });

  await caller.run(() =>
    traceProducer(bare, { clientId: "checkout" }).send({
      topic: "orders",
      messages: [{ value: "a" }, { value: "b" }, { value: null }],
    }),
  );
  caller.span.end();

  broker.partition("orders", 0).shift();
  expect(there("orders")).toEqual(sends(spans).map(ids));
  expect(sends(spans).map(({ attributes }) => attributes["kafka.offset"])).toEqual([1, 2, 3]);
  expect(sends(spans)[2]).toMatchObject({
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

test("a batch to several topics, one of them repeated, is placed as the client merges it", async () => {
  using spans = record();

  await traceProducer(bare).sendBatch({
    topicMessages: [
      { topic: "orders", messages: [{ value: "o0" }] },
      { topic: "shipments", messages: [{ value: "s0" }] },
      { topic: "orders", messages: [{ value: "o1" }] },
    ],
  });

  const byTopic = (topic: string) =>
    sends(spans).filter(({ attributes }) => attributes["messaging.destination.name"] === topic);
  expect(there("orders")).toEqual(byTopic("orders").map(ids));
  expect(there("shipments")).toEqual(byTopic("shipments").map(ids));
  expect(byTopic("orders").map(({ attributes }) => attributes["kafka.offset"])).toEqual([0, 1]);
});

test("messages that ask for a partition tell it from the start, and are placed in it", async () => {
  using spans = record();
  const messages = [2, 0, 2].map((partition) => ({ value: "x", partition }));

  await traceProducer(bare).send({ topic: "spread", messages });

  const places = sends(spans).map(({ attributes }) => [
    attributes["messaging.destination.partition.id"],
    attributes["kafka.offset"],
  ]);
  expect(places).toEqual([
    ["2", 0],
    ["0", 0],
    ["2", 1],
  ]);
  expect(there("spread", 2)).toEqual([0, 2].map((index) => ids(sends(spans)[index] ?? NONE)));
});
const NONE = { traceId: "none", spanId: "none" };

test("no place is told of messages that a partitioner spread", async () => {
  using spans = record();

  await traceProducer(bare).send({ topic: "spread", messages: [{ value: "a" }, { value: "b" }] });

  for (const { attributes } of sends(spans)) {
    expect(attributes["kafka.offset"]).toBeUndefined();
    expect(attributes["messaging.destination.partition.id"]).toBeUndefined();
  }
});

test("no place is told of a send that asks for no acknowledgement", async () => {
  using spans = record();

  await traceProducer(bare).send({ topic: "orders", acks: 0, messages: [{ value: "a" }] });

  expect(sends(spans)[0]?.attributes["kafka.offset"]).toBeUndefined();
});

test("what is sent while tracing is suppressed leaves as it is", async () => {
  using spans = record();
  const heedless: TextMapPropagator = {
    inject: (_, carrier, setter) => setter.set(carrier, "a", "1"),
    extract: (from) => from,
    fields: () => ["a"],
  };
  const producer = traceProducer(bare, { propagator: heedless });

  await context.with(suppressTracing(ROOT_CONTEXT), () =>
    producer.send({ topic: "orders", messages: [{ value: "a" }] }),
  );

  expect(broker.partition("orders", 0)[0]?.headers).toEqual([]);
  expect(spans.ended).toEqual([]);
  expect(spans.warnings).toEqual([]);
});

test.each([undefined, "", 7, null])("a topic that is none (%o) makes no span", async (topic) => {
  using spans = record();
  const given = { topic, messages: [{ value: "a" }] };

  await expect(Reflect.apply(traceProducer(bare).send, undefined, [given])).rejects.toThrow();

  expect(sends(spans)).toEqual([]);
});

test("a client that answers at once is answered at once", () => {
  using spans = record();
  const answer = [{ topicName: "orders", partition: 0, errorCode: 0, baseOffset: "5" }];
  const client = { ...bare };
  Reflect.set(client, "send", () => answer);

  const given: unknown = Reflect.apply(traceProducer(client).send, undefined, [
    { topic: "orders", messages: [{ value: "a" }] },
  ]);

  expect(given).toBe(answer);
  expect(spans.named("send orders").attributes["kafka.offset"]).toBe(5);
});
