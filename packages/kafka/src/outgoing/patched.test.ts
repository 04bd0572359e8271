import { SpanKind, trace } from "@opentelemetry/api";
import { sender } from "@traceferry/testkit";
import type { Message } from "kafkajs";
import { expect, test } from "vitest";
import { FakeBroker, FakeKafka } from "../fake-kafkajs.test-support.js";
import {
  idsOf,
  producerSpans,
  sentIds,
  startCaller,
  startRecording,
} from "../fixtures.test-support.js";
import { traceProducer } from "../index.js";

// Does as @opentelemetry/instrumentation-kafkajs: it marks what it wraps, and writes into the message.
function patch<Args extends unknown[], Result>(method: (...args: Args) => Result) {
  const wrapped = (...args: Args): Result => {
    const span = trace
      .getTracer("instrumentation-kafkajs")
      .startSpan("send orders", { kind: SpanKind.PRODUCER });
    const [record] = args;
    if (isProducerRecord(record)) {
      for (const message of record.messages) {
        const { traceId, spanId } = span.spanContext();
        message.headers = message.headers ?? {};
        message.headers.traceparent = `00-${traceId}-${spanId}-01`;
      }
    }
    span.end();
    return method(...args);
  };
  return Object.assign(wrapped, { __wrapped: true, __original: method, __unwrap: () => {} });
}
const isProducerRecord = (value: unknown): value is { messages: Message[] } =>
  typeof value === "object" && value !== null && "messages" in value;

test("a patched producer keeps its spans: one for each message, one traceparent, the caller's message unchanged", async () => {
  using spans = startRecording();
  const broker = new FakeBroker({ orders: 1 });
  const untraced = new FakeKafka(broker).producer();
  const caller = startCaller(spans);
  const producer = traceProducer({ ...untraced, send: patch(untraced.send) });
  const message = {
    value: "a",
    headers: { Traceparent: sender().traceparent, tracestate: "old=1" },
  };

  await caller.run(() => producer.send({ topic: "orders", messages: [message] }));
  caller.span.end();

  expect(producerSpans(spans).map(({ scope }) => scope)).toEqual(["instrumentation-kafkajs"]);
  expect(sentIds(broker, "orders")).toEqual(producerSpans(spans).map(idsOf));
  expect(broker.partition("orders", 0)[0]?.headers.map(([key]) => key)).toEqual(["traceparent"]);
  expect(Object.keys(message.headers)).toEqual(["Traceparent", "tracestate"]);
});

test("a patched producer keeps its transactions", async () => {
  using spans = startRecording();
  const broker = new FakeBroker({ orders: 1 });
  const transactional = new FakeKafka(broker).producer({ transactionalId: "tx" });
  const patched = { ...transactional, transaction: patch(transactional.transaction) };

  const transaction = await traceProducer(patched).transaction();
  await transaction.send({ topic: "orders", messages: [{ value: "a" }] });
  await transaction.commit();

  expect(spans.ended.map(({ scope }) => scope)).toEqual(["instrumentation-kafkajs"]);
  expect(transaction.isActive()).toBe(false);
  expect(broker.partition("orders", 0)).toHaveLength(1);
});

test("a patched producer keeps the spans of its batches", async () => {
  using spans = startRecording();
  const untraced = new FakeKafka(new FakeBroker({ orders: 1 })).producer();
  const producer = traceProducer({ ...untraced, sendBatch: patch(untraced.sendBatch) });

  await producer.sendBatch({ topicMessages: [{ topic: "orders", messages: [{ value: "a" }] }] });

  expect(spans.ended.map(({ scope }) => scope)).toEqual(["instrumentation-kafkajs"]);
});

test.each<[string, object]>([
  ["that is marked as wrapped, without what it wraps", { __wrapped: true }],
  ["that has an original, without the mark", { __original: () => {} }],
  ["whose wrapping was taken off", { __wrapped: false, __original: () => {} }],
])("a method %s is not taken for a patched one", async (_, marks) => {
  using spans = startRecording();
  const untraced = new FakeKafka(new FakeBroker({ orders: 1 })).producer();
  const send: typeof untraced.send = (record) => untraced.send(record);
  const producer = traceProducer({ ...untraced, send: Object.assign(send, marks) });

  await producer.send({ topic: "orders", messages: [{ value: "a" }] });

  expect(spans.ended.map(({ scope }) => scope)).toEqual(["@traceferry/kafka"]);
});
