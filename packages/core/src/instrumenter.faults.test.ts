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
  hygienic,
  REMOTE,
  recordSpans,
  stockPropagator,
  TRACEPARENT,
} from "./fixtures.test-support.js";
import { ALL, boom, boundaryWith, receive, sent, strict } from "./instrumenter.test-support.js";
import type { TracingOptions } from "./options.js";
import { withSpan } from "./span.js";

describe("a fault costs no message:", () => {
  const foreign = (parts: Partial<TextMapPropagator>): TextMapPropagator => ({
    inject: (...args) => strict.inject(...args),
    extract: (...args) => strict.extract(...args),
    fields: () => strict.fields(),
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
    const { arrival, extractions, faults } = receive(ALL, {
      propagator: foreign({ extract: boom }),
    });
    expect(arrival).toMatchObject({ remoteParent: undefined, links: [], parent: ROOT_CONTEXT });
    expect(arrival.attributes).toEqual({
      "traceferry.extraction": "invalid",
      "traceferry.extraction.reason": "failed",
    });
    expect(extractions).toEqual([{ boundary: "test", outcome: "invalid", reason: "failed" }]);
    expect(faults).toEqual([{ boundary: "test", operation: "extract" }]);
  });

  test("a propagator that gives no context", () => {
    const { extractions } = receive(ALL, {
      propagator: foreign({ extract: () => Object(undefined).nothing }),
    });
    expect(extractions).toEqual([{ boundary: "test", outcome: "invalid", reason: "failed" }]);
  });

  test("a propagator that gives a baggage that throws", () => {
    const propagator = foreign({
      extract: (base) => propagation.setBaggage(trace.setSpanContext(base, REMOTE), throwing),
    });
    const { extractions } = receive(ALL, { propagator, baggage: ["a"] });
    expect(extractions).toEqual([{ boundary: "test", outcome: "invalid", reason: "failed" }]);
  });

  test("a carrier that throws", () => {
    const { boundary, counted } = boundaryWith();
    const getter = new SanitizingGetter<unknown>({ read: boom, keys: boom });
    const arrival = boundary.extract({}, getter, undefined, ROOT_CONTEXT);
    expect(arrival.attributes).toEqual({
      "traceferry.extraction": "invalid",
      "traceferry.extraction.reason": "failed",
    });
    expect(counted.of("faults")).toEqual([{ boundary: "test", operation: "extract" }]);
  });

  test.each<[string, TracingOptions]>([
    ["a propagator that throws when it injects", { propagator: foreign({ inject: boom }) }],
    [
      "a propagator that throws when asked for its fields",
      { propagator: foreign({ fields: boom }) },
    ],
  ])("%s", (_, options) => {
    const { fields, injections, faults } = sent(receive(ALL).arrival.parent, options);
    expect({ fields, injections, faults }).toEqual({
      fields: undefined,
      injections: [{ boundary: "test", outcome: "empty" }],
      faults: [{ boundary: "test", operation: "inject" }],
    });
  });

  test("a baggage that throws", () => {
    const from = propagation.setBaggage(trace.setSpanContext(ROOT_CONTEXT, REMOTE), throwing);
    expect(sent(from).fields).toEqual({ traceparent: TRACEPARENT });
    expect(sent(from, { baggage: ["a"] }).fields).toBeUndefined();
  });

  test("a meter that throws", () => {
    const { arrival, boundary } = receive(ALL, { meterProvider: { getMeter: boom } });
    expect(boundary.inject(arrival.parent)?.fields.get("traceparent")).toBe(TRACEPARENT);
  });

  test("a tracer that throws", () => {
    const { arrival, boundary } = receive(ALL, { tracerProvider: { getTracer: boom } });
    const plan = { name: "x", kind: SpanKind.CONSUMER, parent: arrival.parent };
    const open = boundary.startSpan(plan, arrival);
    const traceparent = withSpan(open, () =>
      boundary.inject(open.context)?.fields.get("traceparent"),
    );
    expect(traceparent).toBe(TRACEPARENT);
  });
});

describe("where tracing is suppressed", () => {
  test("nothing goes out, of any propagator", () => {
    const eager: TextMapPropagator = {
      inject: (_, carrier, setter) => setter.set(carrier, "b3", "1"),
      extract: (from) => from,
      fields: () => ["b3"],
    };
    const from = suppressTracing(receive(ALL).arrival.parent);
    for (const propagator of [eager, strict, stockPropagator()]) {
      expect(sent(from, { propagator })).toEqual({
        fields: undefined,
        injections: [{ boundary: "test", outcome: "empty" }],
        faults: [],
      });
    }
  });
});

describe("without a propagator", () => {
  const globally = { propagator: propagation };

  test("nothing goes out, and the cure is said exactly once", () => {
    using spans = recordSpans();
    const { boundary, counted } = boundaryWith(globally);
    spans.tracer.startActiveSpan("sending", (span) => {
      for (let i = 0; i < 3; i++) expect(boundary.inject()).toBeUndefined();
      span.end();
    });
    expect(spans.warnings).toEqual([
      "traceferry test: inject: no propagator is registered, so no context is ever sent; call propagation.setGlobalPropagator(w3cPropagator()) at start-up",
    ]);
    expect(counted.of("injections")).toEqual(Array(3).fill({ boundary: "test", outcome: "empty" }));
  });

  test("nothing is said where there is nothing to send", () => {
    using spans = recordSpans();
    boundaryWith(globally).boundary.inject(ROOT_CONTEXT);
    boundaryWith(globally).boundary.extract(ALL, hygienic, undefined);
    expect(spans.warnings).toEqual([]);
  });

  test("nothing is said to who gave one that writes nothing", () => {
    using spans = recordSpans();
    const none: TextMapPropagator = { inject() {}, extract: (from) => from, fields: () => [] };
    boundaryWith({ propagator: none }).boundary.inject(trace.setSpanContext(ROOT_CONTEXT, REMOTE));
    expect(spans.warnings).toEqual([]);
  });

  test("one that is registered later is used", () => {
    const { boundary } = boundaryWith(globally);
    const from = trace.setSpanContext(ROOT_CONTEXT, REMOTE);
    expect(boundary.inject(from)).toBeUndefined();
    using _spans = recordSpans({ propagator: strict });
    expect(boundary.inject(from)?.fields.get("traceparent")).toBe(TRACEPARENT);
    expect(boundary.extract(ALL, hygienic, undefined).remoteParent).toMatchObject(REMOTE);
  });
});
