import { KafkaContext, KafkaRetriableException } from "@nestjs/microservices";
import { context, propagation, ROOT_CONTEXT, SpanKind, trace } from "@opentelemetry/api";
import { suppressTracing } from "@traceferry/core";
import { sender } from "@traceferry/testkit";
import { expect, test, vi } from "vitest";
import { TracingModule } from "../module.js";
import { ended, record, seen, seenAt } from "../recorded.test-support.js";
import { startKafka } from "./kafka.test-support.js";

test("a record of Kafka is processed in its sender's trace, which it links too", async () => {
  using spans = record();
  await using shop = await startKafka();
  const from = sender();

  await shop.kafka.deliver("orders", "two shirts", from.headers);

  const span = await ended(spans);
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
      "messaging.client.id": "till-server",
      "kafka.offset": 42,
    },
  });
  expect(seen).toEqual([
    ["guard", span.spanId],
    ["handler", span.spanId],
    ["handler after await", span.spanId],
  ]);
});

test("the offset is committed after the handler is done, and not if it fails", async () => {
  using spans = record();
  await using shop = await startKafka();

  await shop.kafka.deliver("orders", "two shirts");
  shop.orders.steps.push("committed");

  expect(shop.orders.steps).toEqual(["began", "done", "committed"]);
  await expect(shop.kafka.deliver("orders", "later")).rejects.toThrow(KafkaRetriableException);
  await ended(spans, 2);
});

test.each([
  ["an event whose handler throws", "orders", "broken", false],
  ["an event whose stream fails", "streams", "broken", false],
  ["an event that a guard refuses", "orders", "intruder", false],
  ["a request whose answer fails", "prices", "broken", true],
])("%s makes its span an error", async (_what, topic, value, reply) => {
  using spans = record();
  await using shop = await startKafka();
  const from = sender();

  await Promise.resolve(shop.kafka.deliver(topic, value, from.headers, reply)).catch(() => {});

  expect(await ended(spans)).toMatchObject({
    traceId: from.traceId,
    status: { code: "ERROR" },
    attributes: { "error.type": expect.stringMatching(/\S/) },
  });
});

test("where guards refuse, or no interceptor is, the span tells what Nest made of the error", async () => {
  using spans = record();
  await using shop = await startKafka();

  await shop.kafka.deliver("orders", "intruder").catch(() => {});

  expect((await ended(spans)).status).toEqual({ code: "ERROR", message: "Forbidden resource" });
});

test("the span of a request lasts until its last answer", async () => {
  using spans = record();
  await using shop = await startKafka();
  const delivery = shop.kafka.deliver("prices", "door", sender().headers, true);
  await vi.waitFor(() => expect(shop.orders.door.observed).toBe(true));

  shop.orders.door.next("first");
  await delivery;
  expect(spans.open).toEqual(["process prices"]);
  shop.orders.door.complete();

  await ended(spans);
});

test("several handlers of one topic share the span of the record", async () => {
  using spans = record();
  await using shop = await startKafka();

  await shop.kafka.deliver("twice", "order");

  const span = await ended(spans);
  expect(seen.filter(([place]) => place !== "guard")).toEqual([
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
  using spans = record();
  await using shop = await startKafka();
  const from = sender();

  await shop.kafka.deliver("orders", "two shirts", headers(from.traceparent));

  expect((await ended(spans)).parentSpanId).toBe(continued ? from.spanId : undefined);
});

test("a live span of somebody else's for this very record is used", async () => {
  using spans = record();
  await using shop = await startKafka();
  const from = sender();
  const remote = propagation.extract(ROOT_CONTEXT, { traceparent: from.traceparent });
  const theirs = spans.tracer("kafkajs").startSpan("process", { kind: SpanKind.CONSUMER }, remote);

  await context.with(trace.setSpan(remote, theirs), () =>
    shop.kafka.deliver("orders", "two shirts", from.headers),
  );
  theirs.end();

  await ended(spans);
  expect(seen.map(([, spanId]) => spanId)).toEqual(Array(3).fill(theirs.spanContext().spanId));
});

test.each([
  ["a live span of its kind is used", {}, true],
  ["one that has ended is not", { ended: true }, false],
  ["one of another kind is not", { kind: SpanKind.PRODUCER }, false],
  ["one of another offset is not", { offset: 41 }, false],
] as const)(
  "where a record has no sender but somebody else's span, %s",
  async (_what, how, used) => {
    const {
      kind,
      offset,
      ended: over,
    } = {
      kind: SpanKind.CONSUMER,
      offset: 42,
      ended: false,
      ...how,
    };
    using spans = record();
    await using shop = await startKafka();
    const attributes = {
      "messaging.destination.name": "orders",
      "messaging.destination.partition.id": "3",
      "kafka.offset": offset,
    };
    const theirs = spans.tracer("kafkajs").startSpan("process", { kind, attributes }, ROOT_CONTEXT);
    if (over) theirs.end();

    await context.with(trace.setSpan(ROOT_CONTEXT, theirs), () =>
      shop.kafka.deliver("orders", "two shirts"),
    );
    theirs.end();

    const { spanId } = theirs.spanContext();
    await ended(spans, used ? 1 : 2);
    const own = spans.ended.find(({ scope }) => scope === "@traceferry/nestjs");
    expect(seenAt("handler")).toBe(used ? spanId : own?.spanId);
    expect(own?.parentSpanId).toBeUndefined();
  },
);

test("a record that comes inside another's handler has a span of its own", async () => {
  using spans = record();
  await using shop = await startKafka();
  await shop.kafka.deliver("orders", "two shirts");
  const outer = await ended(spans);

  await context.with(shop.orders.active, () => shop.kafka.deliver("orders", "a hat"));

  const { spanId, parentSpanId } = await ended(spans, 2);
  expect(parentSpanId).toBeUndefined();
  expect(spanId).not.toBe(outer.spanId);
  expect(seenAt("handler")).toBe(spanId);
});

test("what somebody suppressed stays untraced", async () => {
  using spans = record();
  await using shop = await startKafka();

  await context.with(suppressTracing(ROOT_CONTEXT), () =>
    shop.kafka.deliver("orders", "two shirts", sender().headers),
  );

  expect(seenAt("handler after await")).toBeUndefined();
  expect([...spans.open, ...spans.ended]).toEqual([]);
});

test("a function that decides the relation is asked about the context of the message", async () => {
  using spans = record();
  const asked: unknown[] = [];
  const relation = (rpc: unknown) => {
    asked.push(rpc);
    return "link" as const;
  };
  await using shop = await startKafka({ imports: [TracingModule.forRoot({ relation })] });
  const { traceId, spanId, headers } = sender();

  await shop.kafka.deliver("orders", "two shirts", headers);

  expect(asked).toEqual([expect.any(KafkaContext)]);
  const span = await ended(spans);
  expect(span.links).toMatchObject([{ traceId, spanId }]);
  expect(span.traceId).not.toBe(traceId);
});

test("without an SDK records are processed, answered and refused as ever", async () => {
  await using shop = await startKafka();
  await shop.kafka.deliver("orders", "two shirts", sender().headers);
  await expect(shop.kafka.deliver("orders", "broken")).rejects.toBeDefined();
  await shop.kafka.deliver("prices", "one", [], true);
  await vi.waitFor(() => expect(shop.kafka.sent).not.toEqual([]));
});
