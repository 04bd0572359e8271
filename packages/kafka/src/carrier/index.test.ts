import { context, createContextKey, ROOT_CONTEXT, SpanKind, trace } from "@opentelemetry/api";
import { sender } from "@traceferry/testkit";
import { describe, expect, test } from "vitest";
import { startCaller, startRecording } from "../fixtures.test-support.js";
import { extractHeaders, injectHeaders } from "./index.js";

const SENDER_TRACEPARENT = sender().traceparent;

describe("the two functions for code of your own", () => {
  test("carry a trace in a new object and do not change the original", () => {
    using spans = startRecording();
    const span = spans.tracer().startSpan("place order");
    const original = Object.freeze({ "x-tenant": "acme", tracestate: "old=1" });

    const headers = injectHeaders(original, trace.setSpan(ROOT_CONTEXT, span));
    span.end();

    expect(Object.keys(headers)).toEqual(["x-tenant", "traceparent"]);
    const { traceId, spanId } = span.spanContext();
    expect(trace.getSpanContext(extractHeaders(headers))).toMatchObject({ traceId, spanId });
  });

  test("make headers where there are none", () => {
    using spans = startRecording();
    const span = spans.tracer().startSpan("place order");
    const { traceparent } = injectHeaders(undefined, trace.setSpan(ROOT_CONTEXT, span));
    span.end();

    expect(traceparent).toContain(span.spanContext().spanId);
  });

  test("inject the active context where none is given", () => {
    using spans = startRecording();
    const caller = startCaller(spans);

    const { traceparent } = caller.run(() => injectHeaders());
    caller.span.end();

    expect(traceparent).toContain(caller.span.spanContext().spanId);
  });

  test("return what is no headers at all as it is", () => {
    using spans = startRecording();
    const caller = startCaller(spans);
    const inject = (headers: unknown): unknown =>
      Reflect.apply(injectHeaders, undefined, [headers]);

    expect(caller.run(() => [inject(null), inject("text"), inject(7)])).toEqual([null, "text", 7]);
    caller.span.end();
  });

  test("return the same headers where there is nothing to inject", () => {
    using spans = startRecording();
    const original = { traceparent: SENDER_TRACEPARENT };

    expect(injectHeaders(original)).toBe(original);
    expect(injectHeaders()).toEqual({});
    expect(spans.warnings).toEqual([]);
  });

  test("return the base without its span where there is no sender", () => {
    using spans = startRecording();
    const span = spans.tracer().startSpan("ambient");
    span.end();

    const read = extractHeaders({ traceparent: "garbage" }, trace.setSpan(ROOT_CONTEXT, span));

    expect(trace.getSpan(read)).toBeUndefined();
  });

  test("keep other values of the base, and none of the active context", () => {
    const [kept, active] = [createContextKey("kept"), createContextKey("active")];

    const read = context.with(ROOT_CONTEXT.setValue(active, "no"), () =>
      extractHeaders({ traceparent: SENDER_TRACEPARENT }, ROOT_CONTEXT.setValue(kept, "yes")),
    );

    expect([read.getValue(kept), read.getValue(active)]).toEqual(["yes", undefined]);
  });

  test("return the sender's context even in the span of its record", () => {
    using spans = startRecording();
    const from = sender();
    const headers = Object.fromEntries(from.headers);
    const remote = extractHeaders(headers);
    const span = spans.tracer().startSpan("process orders", { kind: SpanKind.CONSUMER }, remote);

    const read = extractHeaders(headers, trace.setSpan(ROOT_CONTEXT, span));
    span.end();

    expect(trace.getSpanContext(read)?.spanId).toBe(from.spanId);
  });
});

test("headers that throw when they are read are ignored on extract and kept on inject", () => {
  using spans = startRecording();
  const span = spans.tracer().startSpan("place order");
  span.end();
  const headers = {
    get traceparent(): string {
      throw new Error("not today");
    },
    get "x-tenant"(): string {
      throw new Error("not today");
    },
  };

  expect(trace.getSpan(extractHeaders(headers))).toBeUndefined();
  expect(injectHeaders(headers, trace.setSpan(ROOT_CONTEXT, span))).toBe(headers);
  expect(spans.warnings).toContainEqual(
    expect.stringContaining("traceferry kafka: inject: Error: not today"),
  );
});
