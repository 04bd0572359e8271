import { ROOT_CONTEXT } from "@opentelemetry/api";
import * as stock from "@opentelemetry/core";
import { expect, test } from "vitest";
import { isTracingSuppressed, suppressTracing } from "./suppress.js";

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
