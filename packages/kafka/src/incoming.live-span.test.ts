import {
  context,
  INVALID_SPAN_CONTEXT,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  trace,
} from "@opentelemetry/api";
import { type Sender, sender } from "@traceferry/testkit";
import { describe, expect, test } from "vitest";
import { startRecording } from "./fixtures.test-support.js";
import { extractHeaders, traceEachMessage } from "./index.js";

const headersOf = (from: Sender) => Object.fromEntries(from.headers);

const recordOf = (offset: string, from?: Sender) => ({
  topic: "orders",
  partition: 0,
  message: { offset, ...(from !== undefined && { headers: headersOf(from) }) },
});
const runInside = <Result>(span: Span, run: () => Result): Result =>
  context.with(trace.setSpan(ROOT_CONTEXT, span), run);

const RECORD_ATTRIBUTES = {
  "messaging.destination.name": "orders",
  "messaging.destination.partition.id": "0",
  "kafka.offset": 1,
};

describe("a span that is live around the handler", () => {
  test("becomes a link, and the sender stays the parent", () => {
    using spans = startRecording();
    const from = sender();
    const poll = spans.tracer().startSpan("poll");
    const handle = traceEachMessage(() => {});

    runInside(poll, () => handle(recordOf("1", from)));
    poll.end();

    const span = spans.named("process orders");
    expect(span.parentSpanId).toBe(from.spanId);
    expect(span.links.map(({ spanId }) => spanId)).toEqual([
      from.spanId,
      poll.spanContext().spanId,
    ]);
  });

  test("is not linked when it has ended, such as that of the start-up in which run() was called", () => {
    using spans = startRecording();
    const from = sender();
    const startUp = spans.tracer().startSpan("start up");
    startUp.end();
    const handle = traceEachMessage(() => {});

    runInside(startUp, () => handle(recordOf("1", from)));

    expect(spans.named("process orders").links.map(({ spanId }) => spanId)).toEqual([from.spanId]);
  });

  test("is not linked when its span context is invalid", () => {
    using spans = startRecording();
    const from = sender();
    const invalid = Object.assign(trace.wrapSpanContext(INVALID_SPAN_CONTEXT), {
      isRecording: () => true,
    });

    runInside(invalid, () => traceEachMessage(() => {})(recordOf("1", from)));

    expect(spans.named("process orders").links.map(({ spanId }) => spanId)).toEqual([from.spanId]);
  });

  test("is the only span when it continues the same sender, whatever its name", () => {
    using spans = startRecording();
    const from = sender();
    const otherSpan = spans
      .tracer("other-instrumentation")
      .startSpan("consume", { kind: SpanKind.CONSUMER }, extractHeaders(headersOf(from)));
    const handle = traceEachMessage(() => trace.getSpan(context.active()));

    const seen = runInside(otherSpan, () => handle(recordOf("1", from)));
    otherSpan.end();

    expect(seen).toBe(otherSpan);
    expect(spans.ended.map(({ name }) => name)).toEqual(["consume"]);
  });

  test("is not the only span when it is not CONSUMER, even if it names the same record", () => {
    using spans = startRecording();
    const inner = spans.tracer("other-instrumentation").startSpan("look at orders", {
      kind: SpanKind.INTERNAL,
      attributes: RECORD_ATTRIBUTES,
    });

    runInside(inner, () => traceEachMessage(() => {})(recordOf("1")));
    inner.end();

    expect(spans.ended.map(({ name }) => name)).toEqual(["process orders", "look at orders"]);
  });

  // The names of instrumentation-kafkajs 0.33, and those of the conventions 1.45.
  for (const offset of [{ "messaging.kafka.offset": "1" }, { "kafka.offset": 1 }]) {
    test(`is the only span when it was made for the same record (${Object.keys(offset)})`, () => {
      using spans = startRecording();
      const otherSpan = spans.tracer("instrumentation-kafkajs").startSpan("process orders", {
        kind: SpanKind.CONSUMER,
        attributes: { ...RECORD_ATTRIBUTES, "kafka.offset": undefined, ...offset },
      });
      const handle = traceEachMessage(() => trace.getSpan(context.active()));
      const deliver = (at: string) => runInside(otherSpan, () => handle(recordOf(at)));

      expect(deliver("1")).toBe(otherSpan);
      expect(deliver("2")).not.toBe(otherSpan);
      otherSpan.end();
    });
  }
});
