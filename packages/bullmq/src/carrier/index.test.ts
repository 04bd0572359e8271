import {
  context,
  createContextKey,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  type TextMapPropagator,
  trace,
} from "@opentelemetry/api";
import { sender } from "@traceferry/testkit";
import { recordSpans } from "@traceferry/testkit/record";
import type { JobsOptions } from "bullmq";
import { expect, test } from "vitest";
import { extractJobContext, injectJobOptions } from "../index.js";

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

test("the context of a job is read from its options", () => {
  using _ = recordSpans();
  const from = sender();
  const job = {
    opts: { telemetry: { metadata: JSON.stringify(Object.fromEntries(from.headers)) } },
  };

  const found = extractJobContext(job);

  expect(trace.getSpanContext(found)).toMatchObject({
    traceId: from.traceId,
    spanId: from.spanId,
    isRemote: true,
  });
  expect(propagation.getBaggage(found)?.getEntry("tenant.id")?.value).toBe("acme");
});

test("a job without a context never continues what is active", () => {
  using spans = recordSpans();
  const span = spans.tracer().startSpan("ambient");
  const active = trace.setSpan(ROOT_CONTEXT, span);

  context.with(active, () => {
    expect(extractJobContext({ opts: {} })).toBe(ROOT_CONTEXT);
    expect(trace.getSpan(extractJobContext({ opts: { tm: "zz" } }, active))).toBeUndefined();
  });
  span.end();
});

test("within the span of a job its context is still the sender's, and not that span", () => {
  using spans = recordSpans();
  const from = sender();
  const opts = { tm: JSON.stringify(Object.fromEntries(from.headers)) };
  const remote = extractJobContext({ opts });
  const span = spans.tracer().startSpan("process orders", { kind: SpanKind.CONSUMER }, remote);

  const found = extractJobContext({ opts }, trace.setSpan(ROOT_CONTEXT, span));
  span.end();

  expect(trace.getSpanContext(found)?.spanId).toBe(from.spanId);
});

test("the context of a job is put into the base, in the place of the base's own span and baggage", () => {
  using spans = recordSpans();
  const key = createContextKey("what the application keeps");
  const span = spans.tracer().startSpan("ambient");
  const baggage = propagation.createBaggage({ of: { value: "the base" } });
  const base = trace.setSpan(propagation.setBaggage(ROOT_CONTEXT, baggage), span).setValue(key, 1);
  const { traceId, traceparent } = sender();

  const found = extractJobContext({ opts: { tm: traceparent } }, base);
  span.end();

  expect(found.getValue(key)).toBe(1);
  expect(trace.getSpanContext(found)?.traceId).toBe(traceId);
  expect(propagation.getBaggage(found)).toBeUndefined();
});

test("where there is no job, as in a handler of `failed`, there is no sender", () => {
  using _ = recordSpans();
  // @ts-expect-error: for those without a compiler
  expect(extractJobContext(undefined)).toBe(ROOT_CONTEXT);
});

test("a propagator that searches the keys for its fields finds them in a job", () => {
  const searching: TextMapPropagator = {
    inject: () => undefined,
    extract(base, carrier, getter) {
      const found = getter.keys(carrier).filter((name) => name.startsWith("uberctx-"));
      const entries = found.map((name) => [name, { value: String(getter.get(carrier, name)) }]);
      return propagation.setBaggage(base, propagation.createBaggage(Object.fromEntries(entries)));
    },
    fields: () => [],
  };
  using _ = recordSpans({ propagator: searching });

  const found = extractJobContext({ opts: { tm: '{"UberCtx-Tenant":"acme","other":"1"}' } });

  expect(propagation.getBaggage(found)?.getAllEntries()).toEqual([
    ["uberctx-tenant", { value: "acme" }],
  ]);
});

test("a propagator that throws is reported in BullMQ's name, and the job has no sender", () => {
  const extract = () => {
    throw new Error("on purpose");
  };
  using spans = recordSpans({
    propagator: { inject: () => undefined, extract, fields: () => ["traceparent"] },
  });

  expect(extractJobContext({ opts: { tm: sender().traceparent } })).toBe(ROOT_CONTEXT);
  expect(spans.warnings).toEqual(["traceferry bullmq: extract: Error: on purpose"]);
});
