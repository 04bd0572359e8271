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
import { extractHeaders, traceEachMessage } from "./index.js";
import { record } from "./sends.test-support.js";

const fieldsOf = (from: Sender) => Object.fromEntries(from.headers);

const recordOf = (offset: string, from?: Sender) => ({
  topic: "orders",
  partition: 0,
  message: { offset, ...(from !== undefined && { headers: fieldsOf(from) }) },
});
const within = <Result>(span: Span, run: () => Result): Result =>
  context.with(trace.setSpan(ROOT_CONTEXT, span), run);

const ABOUT_ORDERS = {
  "messaging.destination.name": "orders",
  "messaging.destination.partition.id": "0",
  "kafka.offset": 1,
};

describe("a span that is live around the handler", () => {
  test("becomes a link, and the sender stays the parent", () => {
    using spans = record();
    const from = sender();
    const poll = spans.tracer().startSpan("poll");
    const handle = traceEachMessage(() => {});

    within(poll, () => handle(recordOf("1", from)));
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

    within(startUp, () => handle(recordOf("1", from)));

    expect(spans.named("process orders").links.map(({ spanId }) => spanId)).toEqual([from.spanId]);
  });

  test("is no link when there is nothing to link to", () => {
    using spans = record();
    const from = sender();
    const nameless = Object.assign(trace.wrapSpanContext(INVALID_SPAN_CONTEXT), {
      isRecording: () => true,
    });

    within(nameless, () => traceEachMessage(() => {})(recordOf("1", from)));

    expect(spans.named("process orders").links.map(({ spanId }) => spanId)).toEqual([from.spanId]);
  });

  test("is the only one when it continues this very sender, whatever it is called", () => {
    using spans = record();
    const from = sender();
    const theirs = spans
      .tracer("theirs")
      .startSpan("consume", { kind: SpanKind.CONSUMER }, extractHeaders(fieldsOf(from)));
    const handle = traceEachMessage(() => trace.getSpan(context.active()));

    const seen = within(theirs, () => handle(recordOf("1", from)));
    theirs.end();

    expect(seen).toBe(theirs);
    expect(spans.ended.map(({ name }) => name)).toEqual(["consume"]);
  });

  test("is not the only one when it is no consumer's, though it names this very record", () => {
    using spans = record();
    const inner = spans.tracer("theirs").startSpan("look at orders", {
      kind: SpanKind.INTERNAL,
      attributes: ABOUT_ORDERS,
    });

    within(inner, () => traceEachMessage(() => {})(recordOf("1")));
    inner.end();

    expect(spans.ended.map(({ name }) => name)).toEqual(["process orders", "look at orders"]);
  });

  // Names as instrumentation-kafkajs 0.33 writes them, and as the conventions 1.45 do.
  for (const offset of [{ "messaging.kafka.offset": "1" }, { "kafka.offset": 1 }]) {
    test(`is the only one when it was made for this very record (${Object.keys(offset)})`, () => {
      using spans = record();
      const theirs = spans.tracer("instrumentation-kafkajs").startSpan("process orders", {
        kind: SpanKind.CONSUMER,
        attributes: { ...ABOUT_ORDERS, "kafka.offset": undefined, ...offset },
      });
      const handle = traceEachMessage(() => trace.getSpan(context.active()));
      const deliver = (at: string) => within(theirs, () => handle(recordOf(at)));

      expect(deliver("1")).toBe(theirs);
      expect(deliver("2")).not.toBe(theirs);
      theirs.end();
    });
  }
});
