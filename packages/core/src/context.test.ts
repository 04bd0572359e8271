import { createContextKey, propagation, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import * as stock from "@opentelemetry/core";
import { describe, expect, test } from "vitest";
import { filterBaggage, isTracingSuppressed, suppressTracing, withoutSpan } from "./context.js";
import { baggageEntries, REMOTE } from "./fixtures.test-support.js";

describe("a context without its span", () => {
  const baggage = propagation.createBaggage({ a: { value: "1" } });

  test("has no baggage either, and keeps all other values", () => {
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
  ["none is allowed", false, undefined],
  ["an empty list is allowed", [], undefined],
  ["only others are allowed", ["x"], undefined],
  [
    "some are allowed",
    ["c", "x", "a"],
    [
      ["a", "1"],
      ["c", "3"],
    ],
  ],
])(
  "a context keeps the right baggage entries, and all its other values, when %s",
  (_, allowed, left) => {
    const filtered = filterBaggage(withBaggage, allowed);
    // No baggage at all, rather than an empty one.
    expect(propagation.getBaggage(filtered) && baggageEntries(filtered)).toEqual(left);
    expect(filtered.getValue(KEY)).toBe("mine");
    expect(baggageEntries(withBaggage)).toHaveLength(3);
  },
);

test.each<[string, boolean | readonly string[]]>([
  ["all is allowed", true],
  ["each is named", ["c", "b", "a", "x"]],
])("a context is the same object when %s: its baggage is sent on unchanged", (_, allowed) => {
  expect(filterBaggage(withBaggage, allowed)).toBe(withBaggage);
});

test.each<[string, boolean | readonly string[]]>([
  ["all is allowed", true],
  ["none is allowed", false],
  ["an empty list is allowed", []],
  ["some are allowed", ["a"]],
])("a context without baggage is the same object when %s", (_, allowed) => {
  expect(filterBaggage(withoutBaggage, allowed)).toBe(withoutBaggage);
});

test("tracing that the SDK suppresses is suppressed here, until the SDK allows it again", () => {
  const suppressed = stock.suppressTracing(ROOT_CONTEXT);
  expect(isTracingSuppressed(suppressed)).toBe(true);
  expect(isTracingSuppressed(stock.unsuppressTracing(suppressed))).toBe(false);
  expect(isTracingSuppressed(ROOT_CONTEXT)).toBe(false);
});

test("tracing that is suppressed here is suppressed in the SDK", () => {
  const suppressed = suppressTracing(ROOT_CONTEXT);
  expect(stock.isTracingSuppressed(suppressed)).toBe(true);
  // The SDK also writes false under the key.
  const key = Symbol.for("OpenTelemetry SDK Context Key SUPPRESS_TRACING");
  expect(isTracingSuppressed(suppressed.setValue(key, false))).toBe(false);
});
