import { context, propagation, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { w3cPropagator } from "@traceferry/core";
import { sender } from "@traceferry/testkit";
import { recordSpans } from "@traceferry/testkit/record";
import { expect, test } from "vitest";
import { injectPacket } from "../index.js";

const packet = Object.freeze({
  pattern: "orders",
  data: Object.freeze({ size: "XL" }),
  metadata: Object.freeze({ tenant: "acme", TraceParent: "old", baggage: "old=1" }),
});

test("a packet's copy carries the active context, and nothing of an earlier one", () => {
  using spans = recordSpans({ propagator: w3cPropagator() });
  const span = spans.tracer().startSpan("checkout");
  const { traceId, spanId } = span.spanContext();

  const copy = context.with(trace.setSpan(ROOT_CONTEXT, span), () => injectPacket(packet));

  expect(copy).toEqual({
    pattern: "orders",
    data: { size: "XL" },
    metadata: { tenant: "acme", traceparent: `00-${traceId}-${spanId}-01` },
  });
  expect(copy.data).toBe(packet.data);
  expect(packet.metadata.TraceParent).toBe("old");
  span.end();
});

test("the context to inject can be an argument", () => {
  using _spans = recordSpans({ propagator: w3cPropagator() });
  const from = sender();
  const carrier = Object.fromEntries(from.headers);

  const { metadata } = injectPacket(packet, propagation.extract(ROOT_CONTEXT, carrier));

  expect(metadata).toEqual({ tenant: "acme", ...carrier });
});

test("the packet itself comes back where there is nothing to inject", () => {
  expect(injectPacket(packet)).toBe(packet);
  using _spans = recordSpans({ propagator: w3cPropagator() });
  expect(injectPacket(packet)).toBe(packet);
});

test("a key __proto__ stays an ordinary key", () => {
  using spans = recordSpans({ propagator: w3cPropagator() });
  const span = spans.tracer().startSpan("checkout");
  const metadata: Record<string, string> = JSON.parse('{"__proto__":"x","constructor":"y"}');

  const active = trace.setSpan(ROOT_CONTEXT, span);
  const copy = injectPacket({ pattern: "orders", data: 1, metadata }, active);
  span.end();

  expect(Object.keys(copy.metadata)).toEqual(["__proto__", "constructor", "traceparent"]);
  expect(Object.getPrototypeOf(copy.metadata)).toBe(Object.prototype);
});
