import { KafkaContext, KafkaRetriableException } from "@nestjs/microservices";
import { context, propagation, ROOT_CONTEXT, SpanKind, trace } from "@opentelemetry/api";
import { suppressTracing } from "@traceferry/core";
import { sender } from "@traceferry/testkit";
import { expect, test, vi } from "vitest";
import { TracingModule } from "../module.js";
import { observed, spanIdAt, startRecording, waitForEnded } from "../recording.test-support.js";
import { startKafka } from "./kafka.test-support.js";

test("a record of Kafka is processed in its sender's trace, which it links too", async () => {
  using spans = startRecording();
  await using app = await startKafka();
  const from = sender();

  await app.kafka.deliver("orders", "two shirts", from.headers);

  const span = await waitForEnded(spans);
  expect(span).toMatchObject({
    name: "process orders",
    kind: "CONSUMER",
    traceId: from.traceId,
    parentSpanId: from.spanId,
    links: [{ traceId: from.traceId, spanId: from.spanId }],
    status: { code: "UNSET" },
    attributes: {
      "messaging.system.name": "kafka",
      "messaging.operation.name": "process",
      "messaging.operation.type": "process",
      "messaging.destination.name": "orders",
      "messaging.destination.partition.id": "3",
      "messaging.consumer.group.name": "shop-server",
      "messaging.client.id": "checkout-server",
      "kafka.offset": 42,
    },
  });
  expect(observed).toEqual([
    ["guard", span.spanId],
    ["handler", span.spanId],
    ["handler after await", span.spanId],
  ]);
});

test("the offset is committed after the handler is done, and not if it fails", async () => {
  using spans = startRecording();
  await using app = await startKafka();

  await app.kafka.deliver("orders", "two shirts");
  app.orders.steps.push("committed");

  expect(app.orders.steps).toEqual(["began", "done", "committed"]);
  await expect(app.kafka.deliver("orders", "later")).rejects.toThrow(KafkaRetriableException);
  await waitForEnded(spans, 2);
});

test.each([
  ["an event whose handler throws", "orders", "broken", false],
  ["an event whose stream fails", "streams", "broken", false],
  ["an event that a guard refuses", "orders", "forbidden", false],
  ["a request whose answer fails", "prices", "broken", true],
])("%s makes its span an error", async (_what, topic, value, reply) => {
  using spans = startRecording();
  await using app = await startKafka();
  const from = sender();

  await Promise.resolve(app.kafka.deliver(topic, value, from.headers, reply)).catch(() => {});

  expect(await waitForEnded(spans)).toMatchObject({
    traceId: from.traceId,
    status: { code: "ERROR" },
    attributes: { "error.type": expect.stringMatching(/\S/) },
  });
});

test("the span of a refused message has the error message that Nest's exception filters give", async () => {
  using spans = startRecording();
  await using app = await startKafka();

  await app.kafka.deliver("orders", "forbidden").catch(() => {});

  expect((await waitForEnded(spans)).status).toEqual({
    code: "ERROR",
    message: "Forbidden resource",
  });
});

test("the span of a request lasts until its last answer", async () => {
  using spans = startRecording();
  await using app = await startKafka();
  const delivery = app.kafka.deliver("prices", "pending", sender().headers, true);
  await vi.waitFor(() => expect(app.orders.pendingReply.observed).toBe(true));

  app.orders.pendingReply.next("first");
  await delivery;
  expect(spans.open).toEqual(["process prices"]);
  app.orders.pendingReply.complete();

  await waitForEnded(spans);
});

test("several handlers of one topic share the span of the record", async () => {
  using spans = startRecording();
  await using app = await startKafka();

  await app.kafka.deliver("twice", "order");

  const span = await waitForEnded(spans);
  expect(observed.filter(([step]) => step !== "guard")).toEqual([
    ["first handler", span.spanId],
    ["second handler", span.spanId],
  ]);
});

test.each([
  [
    "repeated, as Nest joins it, the last counts",
    (tp: string) => ({ traceparent: `00-x,${tp}` }),
    true,
  ],
  ["in upper-case keys", (tp: string) => ({ TRACEPARENT: Buffer.from(tp) }), true],
  [
    "with baggage that Nest has parsed",
    (tp: string) => ({ traceparent: tp, baggage: "[1,2]" }),
    true,
  ],
  ["with baggage of null", (tp: string) => ({ traceparent: tp, baggage: "[null]" }), true],
  [
    "that begins with a zero byte",
    (tp: string) => ({ traceparent: Buffer.from(`\0${tp}`) }),
    false,
  ],
  ["of null", () => ({ traceparent: null }), false],
  ["that is an object", () => ({ traceparent: '{"__proto__":1}' }), false],
])("a traceparent %s", async (_what, headers, continued) => {
  using spans = startRecording();
  await using app = await startKafka();
  const from = sender();

  await app.kafka.deliver("orders", "two shirts", headers(from.traceparent));

  expect((await waitForEnded(spans)).parentSpanId).toBe(continued ? from.spanId : undefined);
});

test("a live span of another instrumentation for the same record is used", async () => {
  using spans = startRecording();
  await using app = await startKafka();
  const from = sender();
  const remote = propagation.extract(ROOT_CONTEXT, { traceparent: from.traceparent });
  const otherSpan = spans
    .tracer("kafkajs")
    .startSpan("process", { kind: SpanKind.CONSUMER }, remote);

  await context.with(trace.setSpan(remote, otherSpan), () =>
    app.kafka.deliver("orders", "two shirts", from.headers),
  );
  otherSpan.end();

  await waitForEnded(spans);
  expect(observed.map(([, spanId]) => spanId)).toEqual(
    Array(3).fill(otherSpan.spanContext().spanId),
  );
});

test.each([
  ["a live span of its kind is used", {}, true],
  ["one that has ended is not", { ended: true }, false],
  ["one of another kind is not", { kind: SpanKind.PRODUCER }, false],
  ["one of another topic is not", { topic: "returns" }, false],
  ["one of another partition is not", { partition: "2" }, false],
  ["one of another offset is not", { offset: 41 }, false],
] as const)(
  "where a record without a sender comes inside another instrumentation's span, %s",
  async (_what, overrides, used) => {
    const { kind, topic, partition, offset, ended } = {
      kind: SpanKind.CONSUMER,
      topic: "orders",
      partition: "3",
      offset: 42,
      ended: false,
      ...overrides,
    };
    using spans = startRecording();
    await using app = await startKafka();
    const attributes = {
      "messaging.destination.name": topic,
      "messaging.destination.partition.id": partition,
      "kafka.offset": offset,
    };
    const otherSpan = spans
      .tracer("kafkajs")
      .startSpan("process", { kind, attributes }, ROOT_CONTEXT);
    if (ended) otherSpan.end();

    await context.with(trace.setSpan(ROOT_CONTEXT, otherSpan), () =>
      app.kafka.deliver("orders", "two shirts"),
    );
    otherSpan.end();

    const { spanId } = otherSpan.spanContext();
    await waitForEnded(spans, used ? 1 : 2);
    const nestSpan = spans.ended.find(({ scope }) => scope === "@traceferry/nestjs");
    expect(spanIdAt("handler")).toBe(used ? spanId : nestSpan?.spanId);
    expect(nestSpan?.parentSpanId).toBeUndefined();
  },
);

test("a record that comes inside the handler of another record has a span of its own", async () => {
  using spans = startRecording();
  await using app = await startKafka();
  await app.kafka.deliver("orders", "two shirts");
  const outer = await waitForEnded(spans);

  await context.with(app.orders.active, () => app.kafka.deliver("orders", "a hat"));

  const { spanId, parentSpanId } = await waitForEnded(spans, 2);
  expect(parentSpanId).toBeUndefined();
  expect(spanId).not.toBe(outer.spanId);
  expect(spanIdAt("handler")).toBe(spanId);
});

test("a record that comes where tracing is suppressed has no span", async () => {
  using spans = startRecording();
  await using app = await startKafka();

  await context.with(suppressTracing(ROOT_CONTEXT), () =>
    app.kafka.deliver("orders", "two shirts", sender().headers),
  );

  expect(spanIdAt("handler after await")).toBeUndefined();
  expect([...spans.open, ...spans.ended]).toEqual([]);
});

test("a function as relation is called with the context of the message", async () => {
  using spans = startRecording();
  const messages: unknown[] = [];
  const relation = (rpc: unknown) => {
    messages.push(rpc);
    return "link" as const;
  };
  await using app = await startKafka({ imports: [TracingModule.forRoot({ relation })] });
  const { traceId, spanId, headers } = sender();

  await app.kafka.deliver("orders", "two shirts", headers);

  expect(messages).toEqual([expect.any(KafkaContext)]);
  const span = await waitForEnded(spans);
  expect(span.links).toMatchObject([{ traceId, spanId }]);
  expect(span.traceId).not.toBe(traceId);
});

test("without an SDK records are processed, answered and refused as without the module", async () => {
  await using app = await startKafka();
  await app.kafka.deliver("orders", "two shirts", sender().headers);
  await expect(app.kafka.deliver("orders", "broken")).rejects.toBeDefined();
  await app.kafka.deliver("prices", "one", [], true);
  await vi.waitFor(() => expect(app.kafka.sent).not.toEqual([]));
});
