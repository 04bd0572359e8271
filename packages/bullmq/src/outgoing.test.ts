import { context, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { recordSpans } from "@traceferry/testkit/record";
import { expect, test } from "vitest";
import { extractJobContext, injectJobOptions } from "./index.js";

test("options that are injected into are a clone and carry the context", () => {
  using spans = recordSpans();
  const span = spans.tracer().startSpan("place order");
  const opts = Object.freeze({
    attempts: 3,
    telemetry: Object.freeze({ metadata: '{"tenant":"acme"}' }),
  });

  const sent = context.with(trace.setSpan(ROOT_CONTEXT, span), () => injectJobOptions(opts));

  const { traceId, spanId } = span.spanContext();
  span.end();
  expect(opts).toEqual({ attempts: 3, telemetry: { metadata: '{"tenant":"acme"}' } });
  expect(sent.attempts).toBe(3);
  expect(JSON.parse(sent.telemetry?.metadata ?? "")).toEqual({
    tenant: "acme",
    traceparent: `00-${traceId}-${spanId}-01`,
  });
  expect(trace.getSpanContext(extractJobContext({ opts: sent }))).toMatchObject({
    traceId,
    spanId,
  });
});

test("options stay as they are where there is nothing to send", () => {
  const opts = { telemetry: { metadata: "somebody else's" } };
  expect(injectJobOptions(opts)).toBe(opts);
  expect(injectJobOptions()).toEqual({});
});

test("options that say omitContext stay as they are", () => {
  using spans = recordSpans();
  const span = spans.tracer().startSpan("place order");
  const opts = { telemetry: { omitContext: true } };

  expect(injectJobOptions(opts, trace.setSpan(ROOT_CONTEXT, span))).toBe(opts);
  span.end();
});
