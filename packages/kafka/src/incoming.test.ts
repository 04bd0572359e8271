import { context, createContextKey, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { suppressTracing } from "@traceferry/core";
import { type Sender, sender } from "@traceferry/testkit";
import type { ConsumerRunConfig, EachBatchPayload, EachMessagePayload } from "kafkajs";
import { beforeEach, expect, test } from "vitest";
import { FakeBroker, FakeKafka, type WireHeader } from "./fake-kafkajs.test-support.js";
import { traceConsumer, traceEachMessage } from "./index.js";
import { record } from "./sends.test-support.js";

let broker: FakeBroker;
let bare: ReturnType<FakeKafka["consumer"]>;
beforeEach(() => {
  broker = new FakeBroker({ orders: 1 });
  bare = new FakeKafka(broker).consumer({ groupId: "billing" });
});

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

test("a configuration of a class keeps what the class computes, and nothing is added", async () => {
  using _ = record();
  const got: object[] = [];
  const consumer = traceConsumer({ run: async (given: object) => void got.push(given) });
  class Config {
    get autoCommit() {
      return false;
    }
    get autoCommitInterval() {
      return 1;
    }
    get autoCommitThreshold() {
      return 2;
    }
    get eachBatchAutoResolve() {
      return true;
    }
    get partitionsConsumedConcurrently() {
      return 3;
    }
    async eachMessage() {}
    async eachBatch() {}
  }

  await consumer.run(new Config());
  await consumer.run({ eachMessage: async () => {} });

  expect(got).toEqual([
    {
      autoCommit: false,
      autoCommitInterval: 1,
      autoCommitThreshold: 2,
      eachBatch: Config.prototype.eachBatch,
      eachBatchAutoResolve: true,
      eachMessage: expect.any(Function),
      partitionsConsumedConcurrently: 3,
    },
    { eachMessage: expect.any(Function) },
  ]);
  expect(Object.keys(got[1] ?? {})).toEqual(["eachMessage"]);
});

test("a configuration that throws when it is read is the client's, and it is reported", async () => {
  using spans = record();
  const got: unknown[] = [];
  const consumer = traceConsumer({ run: async (given: object) => void got.push(given) });
  const config = {
    get eachMessage(): never {
      throw new Error("not today");
    },
  };

  await consumer.run(config);

  expect(got[0]).toBe(config);
  expect(spans.warnings).toEqual([
    expect.stringContaining("traceferry kafka: run: Error: not today"),
  ]);
});

test("run without a configuration, or with a wrong one, is the client's affair", async () => {
  using spans = record();
  const got: unknown[] = [];
  const consumer = traceConsumer({ run: async (...args: unknown[]) => void got.push(args) });

  await consumer.run();
  await consumer.run(null, "more");
  await consumer.run({ eachMessage: "no function" });

  expect(got).toEqual([[undefined], [null, "more"], [{ eachMessage: "no function" }]]);
  expect(spans.warnings).toEqual([]);
});

test("a handler that is given no record at all still runs", () => {
  using spans = record();
  const handle = traceEachMessage((payload: never) => payload);

  const payloads = [undefined, null, 7, {}, { topic: "orders" }, { topic: 1, message: {} }];
  for (const payload of [...payloads, { topic: "orders", message: null }, { message: {} }]) {
    expect(Reflect.apply(handle, undefined, [payload])).toBe(payload);
  }
  expect(spans.ended).toEqual([]);
  expect(spans.warnings).toEqual([]);
});

test("a record that throws when it is read is handled all the same, and it is reported", () => {
  using spans = record();
  const handle = traceEachMessage(() => "done");
  const message = {
    get headers(): never {
      throw new Error("not today");
    },
  };

  expect(handle({ topic: "orders", partition: 0, message })).toBe("done");
  expect(spans.ended).toEqual([]);
  expect(spans.warnings).toEqual([
    expect.stringContaining("traceferry kafka: process: Error: not today"),
  ]);
});

test("what else is active where run() was called does not reach the handler", () => {
  using _ = record();
  const startUp = createContextKey("start up");
  const handle = traceEachMessage(() => context.active().getValue(startUp));

  const seen = context.with(ROOT_CONTEXT.setValue(startUp, "yes"), () =>
    handle({ topic: "orders", partition: 0, message: { offset: "1" } }),
  );

  expect(seen).toBeUndefined();
});
