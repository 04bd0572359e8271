import { context, propagation, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { sender } from "@traceferry/testkit";
import { recordSpans } from "@traceferry/testkit/record";
import type { JobsOptions } from "bullmq";
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

/** A context that is not active anywhere. */
function someContext(members: Record<string, string> = {}) {
  const { traceId, spanId, traceparent } = sender();
  const remote = trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: 1 });
  const entries = Object.entries(members).map(([name, value]) => [name, { value }]);
  const baggage = propagation.createBaggage(Object.fromEntries(entries));
  const from = propagation.setBaggage(remote, baggage);
  return { from, traceparent };
}

test.each<[what: string, opts: JobsOptions | undefined]>([
  ["that are missing", undefined],
  ["without telemetry", { attempts: 3 }],
  ["that say what telemetry is to do", { telemetry: { omitContext: false } }],
])("options %s get the context that is given, and keep what they say", (_, opts) => {
  using _spans = recordSpans();
  const { from, traceparent } = someContext();

  const metadata = JSON.stringify({ traceparent });
  expect(injectJobOptions(opts, from)).toEqual({
    ...opts,
    telemetry: { ...opts?.telemetry, metadata },
  });
});

test.each([
  [8192, "goes whole", 111, ["a", "b", "c"]],
  [8193, "loses its last member", 112, ["a", "b"]],
])("baggage that makes %i bytes of context %s", (bytes, _, size, kept) => {
  using _spans = recordSpans();
  const members = { a: "x".repeat(4000), b: "y".repeat(4000), c: "z".repeat(size) };
  const { from, traceparent } = someContext(members);
  const all = `a=${members.a},b=${members.b},c=${members.c}`;
  expect("traceparent".length + traceparent.length + "baggage".length + all.length).toBe(bytes);

  const sent: { traceparent?: string; baggage?: string } = JSON.parse(
    injectJobOptions({}, from).telemetry?.metadata ?? "{}",
  );

  expect(sent.traceparent).toBe(traceparent);
  expect(sent.baggage?.split(",").map((member) => member.slice(0, 1))).toEqual(kept);
});

test("a propagator that throws is reported in BullMQ's name, and the options stay as they are", () => {
  const inject = () => {
    throw new Error("on purpose");
  };
  using spans = recordSpans({
    propagator: { inject, extract: (base) => base, fields: () => ["traceparent"] },
  });
  const opts = { attempts: 3 };

  expect(injectJobOptions(opts, someContext().from)).toBe(opts);
  expect(spans.warnings).toEqual(["traceferry bullmq: inject: Error: on purpose"]);
});
