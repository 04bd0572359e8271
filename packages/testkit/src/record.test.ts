import {
  context,
  diag,
  metrics,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  trace,
} from "@opentelemetry/api";
import { AlwaysOffSampler } from "@opentelemetry/sdk-trace";
import { expect, test } from "vitest";
import { recordSpans } from "./record.js";
import { sender } from "./senders.js";

const getter = { get: (c: Record<string, string>, key: string) => c[key], keys: Object.keys };

test("a span that ends is recorded with all its data", () => {
  using spans = recordSpans();
  const from = sender();
  const remote = propagation.extract(ROOT_CONTEXT, Object.fromEntries(from.headers), getter);
  const linked = { traceId: sender().traceId, spanId: from.spanId, traceFlags: 1 };

  const span = spans.tracer("shop").startSpan(
    "charge card",
    {
      kind: SpanKind.CLIENT,
      attributes: { "payment.method": "visa" },
      links: [{ context: linked, attributes: { why: "retry" } }],
    },
    remote,
  );
  span.addEvent("declined", { code: 51 });
  span.setStatus({ code: 2, message: "declined" });
  span.end();

  expect(spans.named("charge card")).toEqual({
    name: "charge card",
    kind: "CLIENT",
    traceId: from.traceId,
    spanId: span.spanContext().spanId,
    sampled: true,
    parentSpanId: from.spanId,
    parentIsRemote: true,
    traceState: from.tracestate,
    attributes: { "payment.method": "visa" },
    events: [{ name: "declined", attributes: { code: 51 } }],
    links: [{ traceId: linked.traceId, spanId: linked.spanId, attributes: { why: "retry" } }],
    status: { code: "ERROR", message: "declined" },
    scope: "shop",
  });
});

test("a root has no parent and an untouched span no status", () => {
  using spans = recordSpans();

  spans.tracer().startSpan("place order").end();

  const span = spans.named("place order");
  expect(span).not.toHaveProperty("parentSpanId");
  expect(span).not.toHaveProperty("traceState");
  expect(span).toMatchObject({ kind: "INTERNAL", status: { code: "UNSET" }, scope: "test" });
});

test("a span that has not ended is open", () => {
  using spans = recordSpans();
  const first = spans.tracer().startSpan("first");
  spans.tracer().startSpan("second");
  expect(spans.open).toEqual(["first", "second"]);

  first.end();

  expect(spans.open).toEqual(["second"]);
  expect(spans.ended.map(({ name }) => name)).toEqual(["first"]);
});

test("a span that ends twice is a warning", () => {
  using spans = recordSpans();
  const span = spans.tracer().startSpan("place order");

  span.end();
  span.end();

  expect(spans.ended).toHaveLength(1);
  expect(spans.warnings.join("\n")).toMatch(/end\(\) on a span once/);
});

test("asking for a missing span lists the ended ones", () => {
  using spans = recordSpans();
  expect(() => spans.named("place order")).toThrow("No span has ended");
  spans.tracer().startSpan("charge card").end();
  spans.tracer().startSpan("charge card").end();

  expect(() => spans.named("place order")).toThrow(
    /found 0\. Ended spans:\s*INTERNAL "charge card"/,
  );
  expect(() => spans.named("charge card")).toThrow(/found 2\./);
});

test("warnings and errors of diag are recorded, other levels are not", () => {
  using spans = recordSpans();

  diag.warn("no propagator is registered", { boundary: "kafka" });
  diag.error("broken");
  diag.debug("detail");

  expect(spans.warnings).toEqual(["no propagator is registered { boundary: 'kafka' }", "broken"]);
});

test("the context is active in what is awaited, and baggage travels", async () => {
  using spans = recordSpans();
  const span = spans.tracer().startSpan("place order");
  const baggage = propagation.createBaggage({ tenant: { value: "acme" } });
  const active = propagation.setBaggage(trace.setSpan(ROOT_CONTEXT, span), baggage);
  const injected: Record<string, string> = {};

  await context.with(active, async () => {
    await new Promise(setImmediate);
    propagation.inject(context.active(), injected);
  });
  span.end();

  const { traceId, spanId } = spans.named("place order");
  expect(injected).toEqual({ traceparent: `00-${traceId}-${spanId}-01`, baggage: "tenant=acme" });
});

test("a sampler decides what is recorded", () => {
  using spans = recordSpans({ sampler: new AlwaysOffSampler() });

  spans.tracer().startSpan("place order").end();

  expect(spans.ended).toEqual([]);
});

test("propagation only makes no spans and relays a sender", () => {
  using spans = recordSpans({ provider: false });
  const from = sender();
  const remote = propagation.extract(ROOT_CONTEXT, Object.fromEntries(from.headers), getter);
  const injected: Record<string, string> = {};

  const span = spans.tracer().startSpan("place order", {}, remote);
  propagation.inject(trace.setSpan(remote, span), injected);
  span.end();

  expect(spans.ended).toEqual([]);
  expect(injected.traceparent).toBe(from.traceparent);
});

test("clearing forgets what has ended, not what is open", () => {
  using spans = recordSpans();
  spans.tracer().startSpan("ended").end();
  spans.tracer().startSpan("open");
  diag.warn("no exporter");

  spans.clear();

  expect(spans.ended).toEqual([]);
  expect(spans.warnings).toEqual([]);
  expect(spans.open).toEqual(["open"]);
});

test("a recording beside another meter provider is refused, and leaves nothing registered", () => {
  metrics.setGlobalMeterProvider(metrics.getMeterProvider());

  expect(() => recordSpans({ meterProvider: metrics.getMeterProvider() })).toThrow(
    "a global meter provider is registered",
  );

  metrics.disable();
  using spans = recordSpans();
  expect(spans.ended).toEqual([]);
});

test("disposing unregisters everything", async () => {
  const spans = recordSpans({ meterProvider: metrics.getMeterProvider() });
  const active = ROOT_CONTEXT.setValue(Symbol("order"), 1);
  expect(propagation.fields()).not.toEqual([]);
  context.with(active, () => expect(context.active()).toBe(active));

  spans[Symbol.dispose]();
  spans[Symbol.dispose]();

  expect(propagation.fields()).toEqual([]);
  context.with(active, () => expect(context.active()).not.toBe(active));
  expect(trace.getTracer("test").startSpan("late").isRecording()).toBe(false);
  expect(spans.ended).toEqual([]);
  diag.warn("late");
  expect(spans.warnings).toEqual([]);
  using again = recordSpans({ meterProvider: metrics.getMeterProvider() });
  expect(again.ended).toEqual([]);
});
