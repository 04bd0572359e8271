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
import { expect, test } from "vitest";
import { processJob } from "./bullmq.test-support.js";
import { bullmqTelemetry, extractJobContext } from "./index.js";

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

test("what hangs on every object of the process is nobody's sender", async () => {
  using spans = recordSpans();
  const { traceparent } = sender();
  Object.defineProperty(Object.prototype, "traceparent", {
    value: traceparent,
    configurable: true,
  });
  try {
    for (const opts of ["{}", '{"tm":"{}"}', '{"tm":"[]"}']) {
      await processJob(bullmqTelemetry(), { id: "7", data: "{}", opts }, () => undefined);
    }
  } finally {
    Reflect.deleteProperty(Object.prototype, "traceparent");
  }

  expect(spans.ended.map((span) => span.parentSpanId)).toEqual([undefined, undefined, undefined]);
});
