import {
  type Baggage,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  type TextMapPropagator,
  trace,
} from "@opentelemetry/api";
import { describe, expect, test } from "vitest";
import { SanitizingGetter } from "./carrier.js";
import { suppressTracing } from "./context.js";
import {
  REMOTE,
  recordSpans,
  sanitizingGetter,
  stockPropagator,
  TRACEPARENT,
} from "./fixtures.test-support.js";
import {
  boom,
  createInstrumenter,
  extractFrom,
  HEADERS,
  injectFrom,
  strictPropagator,
} from "./instrumenter.test-support.js";
import type { TracingOptions } from "./options.js";
import { withSpan } from "./span.js";

describe("a fault stops no message:", () => {
  const foreign = (parts: Partial<TextMapPropagator>): TextMapPropagator => ({
    inject: (...args) => strictPropagator.inject(...args),
    extract: (...args) => strictPropagator.extract(...args),
    fields: () => strictPropagator.fields(),
    ...parts,
  });
  const throwing: Baggage = {
    getEntry: boom,
    getAllEntries: boom,
    setEntry: boom,
    removeEntry: boom,
    removeEntries: boom,
    clear: boom,
  };

  test("a propagator that throws when it extracts", () => {
    const { extraction, extractions, faults } = extractFrom(HEADERS, {
      propagator: foreign({ extract: boom }),
    });
    expect(extraction).toMatchObject({ remoteParent: undefined, links: [], parent: ROOT_CONTEXT });
    expect(extraction.attributes).toEqual({
      "traceferry.extraction": "invalid",
      "traceferry.extraction.reason": "failed",
    });
    expect(extractions).toEqual([{ boundary: "test", outcome: "invalid", reason: "failed" }]);
    expect(faults).toEqual([{ boundary: "test", operation: "extract" }]);
  });

  test("a propagator that gives no context", () => {
    const { extractions } = extractFrom(HEADERS, {
      propagator: foreign({ extract: () => Object(undefined).nothing }),
    });
    expect(extractions).toEqual([{ boundary: "test", outcome: "invalid", reason: "failed" }]);
  });

  test("a propagator that gives a baggage that throws", () => {
    const propagator = foreign({
      extract: (base) => propagation.setBaggage(trace.setSpanContext(base, REMOTE), throwing),
    });
    const { extractions } = extractFrom(HEADERS, { propagator, baggage: ["a"] });
    expect(extractions).toEqual([{ boundary: "test", outcome: "invalid", reason: "failed" }]);
  });

  test("a carrier that throws", () => {
    const { instrumenter, metrics } = createInstrumenter();
    const getter = new SanitizingGetter<unknown>({ read: boom, keys: boom });
    const extraction = instrumenter.extract({}, getter, undefined, ROOT_CONTEXT);
    expect(extraction.attributes).toEqual({
      "traceferry.extraction": "invalid",
      "traceferry.extraction.reason": "failed",
    });
    expect(metrics.of("faults")).toEqual([{ boundary: "test", operation: "extract" }]);
  });

  test.each<[string, TracingOptions]>([
    ["a propagator that throws when it injects", { propagator: foreign({ inject: boom }) }],
    [
      "a propagator that throws when asked for its fields",
      { propagator: foreign({ fields: boom }) },
    ],
  ])("%s", (_, options) => {
    const { fields, injections, faults } = injectFrom(
      extractFrom(HEADERS).extraction.parent,
      options,
    );
    expect({ fields, injections, faults }).toEqual({
      fields: undefined,
      injections: [{ boundary: "test", outcome: "empty" }],
      faults: [{ boundary: "test", operation: "inject" }],
    });
  });

  test("a baggage that throws", () => {
    const from = propagation.setBaggage(trace.setSpanContext(ROOT_CONTEXT, REMOTE), throwing);
    expect(injectFrom(from).fields).toEqual({ traceparent: TRACEPARENT });
    expect(injectFrom(from, { baggage: ["a"] }).fields).toBeUndefined();
  });

  test("a meter that throws", () => {
    const { extraction, instrumenter } = extractFrom(HEADERS, {
      meterProvider: { getMeter: boom },
    });
    expect(instrumenter.inject(extraction.parent)?.fields.get("traceparent")).toBe(TRACEPARENT);
  });

  test("a tracer that throws", () => {
    const { extraction, instrumenter } = extractFrom(HEADERS, {
      tracerProvider: { getTracer: boom },
    });
    const plan = { name: "x", kind: SpanKind.CONSUMER, parent: extraction.parent };
    const activeSpan = instrumenter.startSpan(plan, extraction);
    const traceparent = withSpan(activeSpan, () =>
      instrumenter.inject(activeSpan.context)?.fields.get("traceparent"),
    );
    expect(traceparent).toBe(TRACEPARENT);
  });
});

describe("where tracing is suppressed", () => {
  test("nothing is sent, by any propagator", () => {
    const eager: TextMapPropagator = {
      inject: (_, carrier, setter) => setter.set(carrier, "b3", "1"),
      extract: (from) => from,
      fields: () => ["b3"],
    };
    const from = suppressTracing(extractFrom(HEADERS).extraction.parent);
    for (const propagator of [eager, strictPropagator, stockPropagator()]) {
      expect(injectFrom(from, { propagator })).toEqual({
        fields: undefined,
        injections: [{ boundary: "test", outcome: "empty" }],
        faults: [],
      });
    }
  });
});

describe("without a propagator", () => {
  const globally = { propagator: propagation };

  test("nothing is sent, and a warning gives the remedy once", () => {
    using spans = recordSpans();
    const { instrumenter, metrics } = createInstrumenter(globally);
    spans.tracer.startActiveSpan("sending", (span) => {
      for (let i = 0; i < 3; i++) expect(instrumenter.inject()).toBeUndefined();
      span.end();
    });
    expect(spans.warnings).toEqual([
      "traceferry test: inject: no propagator is registered, so no context is ever sent; call propagation.setGlobalPropagator(w3cPropagator()) at start-up",
    ]);
    expect(metrics.of("injections")).toEqual(Array(3).fill({ boundary: "test", outcome: "empty" }));
  });

  test("there is no warning where there is nothing to send", () => {
    using spans = recordSpans();
    createInstrumenter(globally).instrumenter.inject(ROOT_CONTEXT);
    createInstrumenter(globally).instrumenter.extract(HEADERS, sanitizingGetter, undefined);
    expect(spans.warnings).toEqual([]);
  });

  test("there is no warning for a configured one that writes nothing", () => {
    using spans = recordSpans();
    const none: TextMapPropagator = { inject() {}, extract: (from) => from, fields: () => [] };
    createInstrumenter({ propagator: none }).instrumenter.inject(
      trace.setSpanContext(ROOT_CONTEXT, REMOTE),
    );
    expect(spans.warnings).toEqual([]);
  });

  test("one that is registered later is used", () => {
    const { instrumenter } = createInstrumenter(globally);
    const from = trace.setSpanContext(ROOT_CONTEXT, REMOTE);
    expect(instrumenter.inject(from)).toBeUndefined();
    using _spans = recordSpans({ propagator: strictPropagator });
    expect(instrumenter.inject(from)?.fields.get("traceparent")).toBe(TRACEPARENT);
    expect(instrumenter.extract(HEADERS, sanitizingGetter, undefined).remoteParent).toMatchObject(
      REMOTE,
    );
  });
});
