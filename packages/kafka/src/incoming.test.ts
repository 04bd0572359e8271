import { context, createContextKey, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { suppressTracing } from "@traceferry/core";
import { type Sender, sender } from "@traceferry/testkit";
import type { ConsumerRunConfig, EachBatchPayload, EachMessagePayload } from "kafkajs";
import { beforeEach, expect, test } from "vitest";
import { FakeBroker, FakeKafka, type WireHeader } from "./fake-kafkajs.test-support.js";
import { startRecording } from "./fixtures.test-support.js";
import { traceConsumer, traceEachMessage } from "./index.js";

let broker: FakeBroker;
let untraced: ReturnType<FakeKafka["consumer"]>;
beforeEach(() => {
  broker = new FakeBroker({ orders: 1 });
  untraced = new FakeKafka(broker).consumer({ groupId: "billing" });
});

const headersOf = (from: Sender) => Object.fromEntries(from.headers);

/** Stores a record on the broker. @returns its offset */
function storeRecord(
  headers: readonly (readonly [string, string])[],
  value: string | null = "{}",
): number {
  const wire = headers.map(([key, text]): WireHeader => [key, Buffer.from(text)]);
  const bytes = value === null ? null : Buffer.from(value);
  return broker.partition("orders", 0).push({ key: null, value: bytes, headers: wire }) - 1;
}

test("a message is processed in its sender's trace, in a span with its topic, partition and offset", async () => {
  using spans = startRecording();
  const from = sender();
  const consumer = traceConsumer(untraced, { groupId: "billing", clientId: "biller" });
  await consumer.run({ eachMessage: async () => {} });

  await consumer.deliver("orders", 0, storeRecord(from.headers, null));

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
  using spans = startRecording();
  const from = sender();
  const outcomes = [() => Promise.reject(new Error("no stock")), () => Promise.resolve()];
  const consumer = traceConsumer(untraced);
  await consumer.run({ eachMessage: () => outcomes.shift()?.() ?? Promise.resolve() });
  const offset = storeRecord(from.headers);

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

test("records without headers, as in old message sets, start a new trace", async () => {
  using spans = startRecording();
  const handle = traceEachMessage(() => trace.getSpanContext(context.active())?.spanId);

  const seen = handle({ topic: "orders", partition: 0, message: { offset: "7" } });

  const span = spans.named("process orders");
  expect(seen).toBe(span.spanId);
  expect(span.attributes["traceferry.extraction"]).toBe("missing");
  expect(span.links).toEqual([]);
});

test("the relation is decided for each record", async () => {
  using spans = startRecording();
  const from = sender();
  const handle = traceEachMessage(() => {}, {
    relation: ({ topic, partition, message }) =>
      topic === "orders" && partition === 2 && message.offset === "5" ? "link" : "none",
  });

  handle({ topic: "orders", partition: 2, message: { offset: "5", headers: headersOf(from) } });

  const span = spans.named("process orders");
  expect(span.traceId).not.toBe(from.traceId);
  expect(span.links).toMatchObject([{ traceId: from.traceId }]);
});

test("a handler that is wrapped twice makes one span", () => {
  using spans = startRecording();
  const handle = traceEachMessage(traceEachMessage(() => {}));

  handle({ topic: "orders", partition: 0, message: { offset: "1", headers: headersOf(sender()) } });
  handle({ topic: "orders", partition: 0, message: { offset: "2" } });

  expect(spans.ended.length).toBe(2);
});

test("nothing is traced where tracing is suppressed", () => {
  using spans = startRecording();
  const handle = traceEachMessage(() => "done");

  const result = context.with(suppressTracing(ROOT_CONTEXT), () =>
    handle({ topic: "orders", partition: 0, message: { offset: "1" } }),
  );

  expect(result).toBe("done");
  expect(spans.ended).toEqual([]);
});

test("a handler is called as the client calls it", async () => {
  using _ = startRecording();
  const calls: unknown[][] = [];
  const config: ConsumerRunConfig = Object.freeze({
    autoCommit: false,
    eachMessage: async function (this: unknown, ...args: [EachMessagePayload]) {
      calls.push([this, ...args]);
    },
  });
  let received: ConsumerRunConfig = {};
  const consumer = traceConsumer({
    run: async (runConfig: ConsumerRunConfig) => {
      received = runConfig;
    },
  });
  await consumer.run(config);
  const runner = { name: "runner" };
  const payload = { topic: "orders", partition: 0, message: { offset: "1", value: null } };

  await Reflect.apply(received.eachMessage ?? (() => {}), runner, [payload, "more"]);

  expect(calls).toEqual([[runner, payload, "more"]]);
  expect(received.autoCommit).toBe(false);
});

test("eachBatch is passed on as it is, with the context it would have", async () => {
  using spans = startRecording();
  const seen: unknown[] = [];
  const eachBatch = async ({ batch }: EachBatchPayload) => {
    seen.push(batch.messages.length, trace.getSpan(context.active()));
  };
  const consumer = traceConsumer(untraced);
  await consumer.run({ eachBatch });

  await consumer.deliver("orders", 0, storeRecord(sender().headers));

  expect(seen).toEqual([1, undefined]);
  expect(spans.ended).toEqual([]);
});

test("in a batch each message can be handled in its own trace", async () => {
  using spans = startRecording();
  const senders = [sender(), sender()];
  const handle = traceEachMessage(async () => trace.getSpanContext(context.active())?.traceId);
  const seen: unknown[] = [];
  const eachBatch = async ({ batch: { topic, partition, messages } }: EachBatchPayload) => {
    for (const message of messages) seen.push(await handle({ topic, partition, message }));
  };
  await untraced.run({ eachBatch });

  for (const from of senders) await untraced.deliver("orders", 0, storeRecord(from.headers));

  expect(seen).toEqual(senders.map(({ traceId }) => traceId));
  expect(spans.ended.length).toBe(2);
});

test("a configuration keeps the getters' values of its class, and nothing is added", async () => {
  using _ = startRecording();
  const received: object[] = [];
  const consumer = traceConsumer({ run: async (passed: object) => void received.push(passed) });
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

  expect(received).toEqual([
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
  expect(Object.keys(received[1] ?? {})).toEqual(["eachMessage"]);
});

test("a configuration that throws when it is read is passed on as it is, and the fault is reported", async () => {
  using spans = startRecording();
  const received: unknown[] = [];
  const consumer = traceConsumer({ run: async (passed: object) => void received.push(passed) });
  const config = {
    get eachMessage(): never {
      throw new Error("not today");
    },
  };

  await consumer.run(config);

  expect(received[0]).toBe(config);
  expect(spans.warnings).toEqual([
    expect.stringContaining("traceferry kafka: run: Error: not today"),
  ]);
});

test("run without a configuration, or with a wrong one, is left to the client", async () => {
  using spans = startRecording();
  const received: unknown[] = [];
  const consumer = traceConsumer({ run: async (...args: unknown[]) => void received.push(args) });

  await consumer.run();
  await consumer.run(null, "more");
  await consumer.run({ eachMessage: "no function" });

  expect(received).toEqual([[undefined], [null, "more"], [{ eachMessage: "no function" }]]);
  expect(spans.warnings).toEqual([]);
});

test("a handler that is given no record at all still runs", () => {
  using spans = startRecording();
  const handle = traceEachMessage((payload: never) => payload);

  const payloads = [undefined, null, 7, {}, { topic: "orders" }, { topic: 1, message: {} }];
  for (const payload of [...payloads, { topic: "orders", message: null }, { message: {} }]) {
    expect(Reflect.apply(handle, undefined, [payload])).toBe(payload);
  }
  expect(spans.ended).toEqual([]);
  expect(spans.warnings).toEqual([]);
});

test("a record that throws when it is read is handled all the same, and the fault is reported", () => {
  using spans = startRecording();
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

test("other context values active where run() was called do not reach the handler", () => {
  using _ = startRecording();
  const startUp = createContextKey("start up");
  const handle = traceEachMessage(() => context.active().getValue(startUp));

  const seen = context.with(ROOT_CONTEXT.setValue(startUp, "yes"), () =>
    handle({ topic: "orders", partition: 0, message: { offset: "1" } }),
  );

  expect(seen).toBeUndefined();
});
