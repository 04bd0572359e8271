import {
  type Baggage,
  baggageEntryMetadataFromString,
  propagation,
  ROOT_CONTEXT,
  type TraceState,
  trace,
} from "@opentelemetry/api";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  collectWarnings,
  contentsOf,
  injected,
  plainGetter,
  REMOTE,
  SPAN_ID,
  TRACE_ID,
  TRACEPARENT,
} from "../fixtures.test-support.js";
import { w3cPropagator } from "./propagator.js";

const propagator = w3cPropagator();
const IDS = `${TRACE_ID}-${SPAN_ID}`;

const warnings: string[] = [];
let release = () => {};
beforeEach(() => {
  warnings.length = 0;
  release = collectWarnings(warnings);
});
afterEach(() => release());

describe("nothing is thrown, the rest is carried on, and there is a warning, when", () => {
  // A new one for each test: a warning about the same operation comes once a minute.
  const fresh = () => w3cPropagator();
  const boom = (): never => {
    throw new Error("on purpose");
  };
  const expectWarning = () => expect(warnings.join("\n")).toContain("on purpose");
  const all = { traceparent: TRACEPARENT, tracestate: "a=1", baggage: "b=2" };

  test.each([
    ["traceparent", { span: undefined, tracestate: undefined, baggage: { b: "2" } }],
    ["tracestate", { span: `${IDS}-1`, tracestate: undefined, baggage: { b: "2" } }],
    ["baggage", { span: `${IDS}-1`, tracestate: "a=1", baggage: {} }],
  ])("a getter throws for the %s", (field, expected) => {
    const getter = {
      keys: boom,
      get: (carrier: unknown, key: string) =>
        key === field ? boom() : plainGetter.get(carrier, key),
    };
    expect(contentsOf(fresh().extract(ROOT_CONTEXT, all, getter))).toEqual(expected);
    expectWarning();
  });

  test.each<[string, unknown]>([
    ["a carrier whose properties throw", new Proxy({}, { get: boom })],
    ["a list whose items throw", { traceparent: new Proxy([TRACEPARENT], { get: boom }) }],
    ["a list whose length throws", { baggage: new Proxy([], { get: boom }) }],
  ])("there is %s", (_, carrier) => {
    expect(fresh().extract(ROOT_CONTEXT, carrier, plainGetter)).toBe(ROOT_CONTEXT);
    expectWarning();
  });

  test.each([
    ["nothing", undefined],
    ["null", null],
    ["a number", 5],
  ])("the carrier is %s", (_, carrier) => {
    expect(
      fresh().extract(ROOT_CONTEXT, carrier, {
        keys: () => [],
        get: (from: unknown, key) => Reflect.get(Object(from), key),
      }),
    ).toBe(ROOT_CONTEXT);
  });

  test("the setter throws", () => {
    const context = propagator.extract(ROOT_CONTEXT, all, plainGetter);
    fresh().inject(context, {}, { set: boom });
    expectWarning();
  });

  test("the setter throws for one field only", () => {
    const context = propagator.extract(ROOT_CONTEXT, all, plainGetter);
    const written: string[] = [];
    fresh().inject(
      context,
      {},
      { set: (_, key) => void (key === "tracestate" ? boom() : written.push(key)) },
    );
    expect(written).toEqual(["traceparent", "baggage"]);
    expectWarning();
  });

  test("the span is a foreign one that throws", () => {
    const span = { ...trace.wrapSpanContext(REMOTE), spanContext: boom, isRecording: () => true };
    const context = trace.setSpan(
      propagator.extract(ROOT_CONTEXT, { baggage: "b=2" }, plainGetter),
      span,
    );
    expect(injected(fresh(), context)).toEqual({ baggage: "b=2" });
    expectWarning();
  });

  test("the TraceState is a foreign one that throws", () => {
    const traceState: TraceState = { get: boom, set: boom, unset: boom, serialize: boom };
    const context = propagator.extract(ROOT_CONTEXT, { baggage: "b=2" }, plainGetter);
    const sent = injected(fresh(), trace.setSpanContext(context, { ...REMOTE, traceState }));
    expect(sent).toEqual({ traceparent: TRACEPARENT, baggage: "b=2" });
    expectWarning();
  });

  test.each<[string, Baggage["getAllEntries"]]>([
    ["throws", boom],
    [
      "gives an entry whose value throws",
      () => [
        [
          "a",
          {
            get value() {
              return boom();
            },
          },
        ],
      ],
    ],
    [
      "gives metadata that throws",
      () => [
        ["a", { value: "1", metadata: { ...baggageEntryMetadataFromString(""), toString: boom } }],
      ],
    ],
  ])("the Baggage is a foreign one that %s", (_, getAllEntries) => {
    const baggage: Baggage = {
      ...propagation.createBaggage(),
      getAllEntries,
      getEntry: boom,
      setEntry: boom,
      removeEntry: boom,
      removeEntries: boom,
      clear: boom,
    };
    const context = propagation.setBaggage(trace.setSpanContext(ROOT_CONTEXT, REMOTE), baggage);
    expect(injected(fresh(), context)).toEqual({ traceparent: TRACEPARENT });
    expectWarning();
  });
});
