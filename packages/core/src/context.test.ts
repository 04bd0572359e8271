import { createContextKey, propagation, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import * as stock from "@opentelemetry/core";
import { describe, expect, test } from "vitest";
import { filterBaggage, isTracingSuppressed, suppressTracing, withoutSpan } from "./context.js";
import { baggageEntries, REMOTE } from "./fixtures.test-support.js";

describe("a context without its span", () => {
  const baggage = propagation.createBaggage({ a: { value: "1" } });

  test("has no baggage either, and keeps all else", () => {
    const key = Symbol("mine");
    const active = propagation.setBaggage(
      trace.setSpanContext(suppressTracing(ROOT_CONTEXT), REMOTE).setValue(key, 1),
      baggage,
    );
    const base = withoutSpan(active);
    expect(trace.getSpan(base)).toBeUndefined();
    expect(propagation.getBaggage(base)).toBeUndefined();
    expect(base.getValue(key)).toBe(1);
  });

  test("is the same object when it has neither", () => {
    expect(withoutSpan(ROOT_CONTEXT)).toBe(ROOT_CONTEXT);
  });
});

const KEY = createContextKey("@traceferry/core test");
const withoutBaggage = ROOT_CONTEXT.setValue(KEY, "mine");
const withBaggage = propagation.setBaggage(
  withoutBaggage,
  propagation.createBaggage({ a: { value: "1" }, b: { value: "2" }, c: { value: "3" } }),
);

test.each<[string, boolean | readonly string[], [string, string][] | undefined]>([
  ["none may", false, undefined],
  ["an empty list may", [], undefined],
  ["only others may", ["x"], undefined],
  [
    "some may",
    ["c", "x", "a"],
    [
      ["a", "1"],
      ["c", "3"],
    ],
  ],
])(
  "what is left of a baggage when %s, beside all else that a context holds",
  (_, allowed, left) => {
    const filtered = filterBaggage(withBaggage, allowed);
    // No baggage at all, rather than an empty one.
    expect(propagation.getBaggage(filtered) && baggageEntries(filtered)).toEqual(left);
    expect(filtered.getValue(KEY)).toBe("mine");
    expect(baggageEntries(withBaggage)).toHaveLength(3);
  },
);

test.each<[string, boolean | readonly string[]]>([
  ["all may", true],
  ["each is named", ["c", "b", "a", "x"]],
])(
  "a context whose baggage may stay is the same when %s: it is sent on as it came",
  (_, allowed) => {
    expect(filterBaggage(withBaggage, allowed)).toBe(withBaggage);
  },
);

test.each<[string, boolean | readonly string[]]>([
  ["all may", true],
  ["none may", false],
  ["an empty list may", []],
  ["some may", ["a"]],
])("a context without baggage is the same when %s", (_, allowed) => {
  expect(filterBaggage(withoutBaggage, allowed)).toBe(withoutBaggage);
});

test("what the SDK suppressed is suppressed here, and what it allows again is not", () => {
  const suppressed = stock.suppressTracing(ROOT_CONTEXT);
  expect(isTracingSuppressed(suppressed)).toBe(true);
  expect(isTracingSuppressed(stock.unsuppressTracing(suppressed))).toBe(false);
  expect(isTracingSuppressed(ROOT_CONTEXT)).toBe(false);
});

test("what is suppressed here the SDK suppresses", () => {
  const suppressed = suppressTracing(ROOT_CONTEXT);
  expect(stock.isTracingSuppressed(suppressed)).toBe(true);
  // Another way to say no: the value under the key is false.
  const key = Symbol.for("OpenTelemetry SDK Context Key SUPPRESS_TRACING");
  expect(isTracingSuppressed(suppressed.setValue(key, false))).toBe(false);
});
