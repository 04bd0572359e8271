import { context, ROOT_CONTEXT, SpanKind, trace } from "@opentelemetry/api";
import { suppressTracing, w3cPropagator } from "@traceferry/core";
import { type Sender, sender } from "@traceferry/testkit/contract";
import { recordSpans } from "@traceferry/testkit/record";
import type { ConsumerRunConfig, EachBatchPayload, EachMessagePayload } from "kafkajs";
import { beforeEach, describe, expect, test } from "vitest";
import { traceConsumer, traceEachMessage } from "./index.js";
import { FakeBroker, FakeKafka, type WireHeader } from "./kafkajs.test.fake.js";

let broker: FakeBroker;
let bare: ReturnType<FakeKafka["consumer"]>;
beforeEach(() => {
  broker = new FakeBroker({ orders: 1 });
  bare = new FakeKafka(broker).consumer({ groupId: "billing" });
});

const record = () => recordSpans({ propagator: w3cPropagator() });

const fieldsOf = (from: Sender) => Object.fromEntries(from.headers);

/** A record as it lies on the broker. @returns its offset */
function arrive(
  headers: readonly (readonly [string, string])[],
  value: string | null = "{}",
): number {
  const wire = headers.map(([key, text]): WireHeader => [key, Buffer.from(text)]);
  const bytes = value === null ? null : Buffer.from(value);
  return broker.partition("orders", 0).push({ key: null, value: bytes, headers: wire }) - 1;
}

test("a message is processed in its sender's trace, in a span that says where it lay", async () => {
  using spans = record();
  const from = sender();
  const consumer = traceConsumer(bare, { groupId: "billing", clientId: "biller" });
  await consumer.run({ eachMessage: async () => {} });

  await consumer.deliver("orders", 0, arrive(from.headers, null));

  expect(spans.named("process orders")).toMatchObject({
    kind: "CONSUMER",
    traceId: from.traceId,
    parentSpanId: from.spanId,
    links: [{ traceId: from.traceId, spanId: from.spanId }],
    status: { code: "UNSET" },
    scope: "@traceferry/kafka",
    attributes: {
      "messaging.system.name": "kafka",
      "messaging.destination.name": "orders",
      "messaging.destination.partition.id": "0",
      "messaging.operation.name": "process",
      "messaging.operation.type": "process",
      "messaging.consumer.group.name": "billing",
      "messaging.client.id": "biller",
      "kafka.offset": 0,
      "kafka.message.tombstone": true,
    },
  });
});

test("a message that is delivered again after a failure gets a span of its own with the same parent", async () => {
  using spans = record();
  const from = sender();
  const outcomes = [() => Promise.reject(new Error("no stock")), () => Promise.resolve()];
  const consumer = traceConsumer(bare);
  await consumer.run({ eachMessage: () => outcomes.shift()?.() ?? Promise.resolve() });
  const offset = arrive(from.headers);

  await expect(consumer.deliver("orders", 0, offset)).rejects.toThrow("no stock");
  await consumer.deliver("orders", 0, offset);

  expect(
    spans.ended.map(({ parentSpanId, status, attributes }) => [
      parentSpanId,
      status.code,
      attributes["kafka.offset"],
    ]),
  ).toEqual([
    [from.spanId, "ERROR", offset],
    [from.spanId, "UNSET", offset],
  ]);
});

test("records of a message set of old, without headers, start a new trace", async () => {
  using spans = record();
  const handle = traceEachMessage(() => trace.getSpanContext(context.active())?.spanId);

  const seen = handle({ topic: "orders", partition: 0, message: { offset: "7" } });

  const span = spans.named("process orders");
  expect(seen).toBe(span.spanId);
  expect(span.attributes["traceferry.extraction"]).toBe("missing");
  expect(span.links).toEqual([]);
});

test("the relation is decided for each record", async () => {
  using spans = record();
  const from = sender();
  const handle = traceEachMessage(() => {}, {
    relation: ({ topic, partition, message }) =>
      topic === "orders" && partition === 2 && message.offset === "5" ? "link" : "none",
  });

  handle({ topic: "orders", partition: 2, message: { offset: "5", headers: fieldsOf(from) } });

  const span = spans.named("process orders");
  expect(span.traceId).not.toBe(from.traceId);
  expect(span.links).toMatchObject([{ traceId: from.traceId }]);
});

describe("a span that is live around the handler", () => {
  test("becomes a link, and the sender stays the parent", () => {
    using spans = record();
    const from = sender();
    const poll = spans.tracer().startSpan("poll");
    const handle = traceEachMessage(() => {});

    context.with(trace.setSpan(ROOT_CONTEXT, poll), () =>
      handle({ topic: "orders", partition: 0, message: { offset: "1", headers: fieldsOf(from) } }),
    );
    poll.end();

    const span = spans.named("process orders");
    expect(span.parentSpanId).toBe(from.spanId);
    expect(span.links.map(({ spanId }) => spanId)).toEqual([
      from.spanId,
      poll.spanContext().spanId,
    ]);
  });

  test("is no link when it has ended: the start-up in which run() was called, for one", () => {
    using spans = record();
    const from = sender();
    const startUp = spans.tracer().startSpan("start up");
    startUp.end();
    const handle = traceEachMessage(() => {});

    context.with(trace.setSpan(ROOT_CONTEXT, startUp), () =>
      handle({ topic: "orders", partition: 0, message: { offset: "1", headers: fieldsOf(from) } }),
    );

    expect(spans.named("process orders").links.map(({ spanId }) => spanId)).toEqual([from.spanId]);
  });

  // Names as instrumentation-kafkajs 0.33 writes them, and as the conventions 1.45 do.
  for (const offset of [{ "messaging.kafka.offset": "1" }, { "kafka.offset": 1 }]) {
    test(`is the only one when it was made for this very record (${Object.keys(offset)})`, () => {
      using spans = record();
      const theirs = spans.tracer("instrumentation-kafkajs").startSpan("process orders", {
        kind: SpanKind.CONSUMER,
        attributes: {
          "messaging.destination.name": "orders",
          "messaging.destination.partition.id": "0",
          ...offset,
        },
      });
      const handle = traceEachMessage(() => trace.getSpan(context.active()));
      const deliver = (at: string) =>
        context.with(trace.setSpan(ROOT_CONTEXT, theirs), () =>
          handle({ topic: "orders", partition: 0, message: { offset: at } }),
        );

      expect(deliver("1")).toBe(theirs);
      expect(deliver("2")).not.toBe(theirs);
      theirs.end();
    });
  }
});

test("a handler that is wrapped twice makes one span", () => {
  using spans = record();
  const handle = traceEachMessage(traceEachMessage(() => {}));

  handle({ topic: "orders", partition: 0, message: { offset: "1", headers: fieldsOf(sender()) } });
  handle({ topic: "orders", partition: 0, message: { offset: "2" } });

  expect(spans.ended.length).toBe(2);
});

test("nothing is traced where tracing is suppressed", () => {
  using spans = record();
  const handle = traceEachMessage(() => "done");

  const result = context.with(suppressTracing(ROOT_CONTEXT), () =>
    handle({ topic: "orders", partition: 0, message: { offset: "1" } }),
  );

  expect(result).toBe("done");
  expect(spans.ended).toEqual([]);
});

test("a handler is called as the client calls it", async () => {
  using _ = record();
  const calls: unknown[][] = [];
  const config: ConsumerRunConfig = Object.freeze({
    autoCommit: false,
    eachMessage: async function (this: unknown, ...args: [EachMessagePayload]) {
      calls.push([this, ...args]);
    },
  });
  let got: ConsumerRunConfig = {};
  const consumer = traceConsumer({
    run: async (given: ConsumerRunConfig) => {
      got = given;
    },
  });
  await consumer.run(config);
  const runner = { name: "runner" };
  const payload = { topic: "orders", partition: 0, message: { offset: "1", value: null } };

  await Reflect.apply(got.eachMessage ?? (() => {}), runner, [payload, "more"]);

  expect(calls).toEqual([[runner, payload, "more"]]);
  expect(got.autoCommit).toBe(false);
});

test("eachBatch is passed on as it is, with the context it would have", async () => {
  using spans = record();
  const seen: unknown[] = [];
  const eachBatch = async ({ batch }: EachBatchPayload) => {
    seen.push(batch.messages.length, trace.getSpan(context.active()));
  };
  const consumer = traceConsumer(bare);
  await consumer.run({ eachBatch });

  await consumer.deliver("orders", 0, arrive(sender().headers));

  expect(seen).toEqual([1, undefined]);
  expect(spans.ended).toEqual([]);
});

test("in a batch each message can be handled in its own trace", async () => {
  using spans = record();
  const senders = [sender(), sender()];
  const handle = traceEachMessage(async () => trace.getSpanContext(context.active())?.traceId);
  const seen: unknown[] = [];
  const eachBatch = async ({ batch: { topic, partition, messages } }: EachBatchPayload) => {
    for (const message of messages) seen.push(await handle({ topic, partition, message }));
  };
  await bare.run({ eachBatch });

  for (const from of senders) await bare.deliver("orders", 0, arrive(from.headers));

  expect(seen).toEqual(senders.map(({ traceId }) => traceId));
  expect(spans.ended.length).toBe(2);
});

test("run without a configuration, or with a wrong one, is the client's affair", async () => {
  const got: unknown[] = [];
  const consumer = traceConsumer({ run: async (...args: unknown[]) => void got.push(args) });

  await consumer.run();
  await consumer.run(null);
  await consumer.run({ eachMessage: "no function" });

  expect(got).toEqual([[undefined], [null], [{ eachMessage: "no function" }]]);
});

test("a handler that is given no record at all still runs", () => {
  using spans = record();
  const handle = traceEachMessage((payload: never) => payload);

  for (const payload of [undefined, null, 7, {}, { topic: "orders" }, { topic: 1, message: {} }]) {
    expect(Reflect.apply(handle, undefined, [payload])).toBe(payload);
  }
  expect(spans.ended).toEqual([]);
});
