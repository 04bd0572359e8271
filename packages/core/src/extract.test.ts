import {
  INVALID_SPAN_CONTEXT,
  propagation,
  ROOT_CONTEXT,
  type TextMapPropagator,
  trace,
} from "@opentelemetry/api";
import { describe, expect, test } from "vitest";
import { extract } from "./extract.js";
import {
  type Headers,
  REMOTE,
  sanitizingGetter,
  stockPropagator,
  TRACE_ID,
  TRACEPARENT,
} from "./fixtures.test-support.js";
import { w3cPropagator } from "./w3c/index.js";

const from = (headers: Headers, propagator: TextMapPropagator = w3cPropagator()) =>
  extract(propagator, headers, sanitizingGetter, ROOT_CONTEXT);

describe("an extraction says", () => {
  test.each<[string, Headers, string, string | undefined]>([
    ["valid for a sender", { traceparent: TRACEPARENT }, "valid", undefined],
    [
      "valid for a sender with a tracestate",
      { traceparent: TRACEPARENT, tracestate: "a=1" },
      "valid",
      undefined,
    ],
    [
      "valid for a sender with an empty tracestate",
      { traceparent: TRACEPARENT, tracestate: " ,," },
      "valid",
      undefined,
    ],
    [
      "that the tracestate of a valid sender is malformed",
      { traceparent: TRACEPARENT, tracestate: "a=1,b" },
      "valid",
      "tracestate_invalid",
    ],
    [
      "that the tracestate of a valid sender cannot be printed",
      { traceparent: TRACEPARENT, tracestate: "a=1\r\n" },
      "valid",
      "tracestate_invalid",
    ],
    ["missing for no headers", {}, "missing", undefined],
    ["missing for an empty traceparent", { traceparent: "" }, "missing", undefined],
    ["missing for a traceparent that is an empty list", { traceparent: [] }, "missing", undefined],
    [
      "missing for a tracestate and a baggage alone",
      { tracestate: "a=1", baggage: "b=2" },
      "missing",
      undefined,
    ],
    [
      "invalid for two traceparents",
      { traceparent: [TRACEPARENT, TRACEPARENT] },
      "invalid",
      "repeated",
    ],
    ["invalid for a malformed traceparent", { traceparent: "x" }, "invalid", "format"],
    [
      "invalid for a traceparent with a newline",
      { traceparent: `${TRACEPARENT}\n` },
      "invalid",
      "format",
    ],
    [
      "invalid for a traceparent of bytes beyond ASCII",
      { traceparent: Buffer.from("é") },
      "invalid",
      "format",
    ],
    [
      "invalid for version ff",
      { traceparent: TRACEPARENT.replace("00", "ff") },
      "invalid",
      "version",
    ],
    [
      "invalid for zeros",
      { traceparent: TRACEPARENT.replace(TRACE_ID, "0".repeat(32)) },
      "invalid",
      "zero_id",
    ],
    [
      "invalid for a traceparent of 20,000 characters",
      { traceparent: "0".repeat(20_000) },
      "invalid",
      "too_long",
    ],
  ])("%s", (_, headers, status, reason) => {
    const result = from(headers);
    expect({ status: result.status, reason: result.reason }).toEqual({ status, reason });
    expect(result.remoteParent).toEqual(
      status === "valid" ? expect.objectContaining(REMOTE) : undefined,
    );
  });

  test("invalid for a traceparent that only the stock propagator refuses", () => {
    expect(from({ traceparent: `  ${TRACEPARENT}` }, stockPropagator())).toMatchObject({
      status: "invalid",
      reason: "format",
    });
  });

  test("nothing about the message before", () => {
    from({ traceparent: TRACEPARENT, tracestate: "a=1,b" });
    expect(from({ traceparent: TRACEPARENT }).reason).toBeUndefined();
  });
});

describe("with a propagator of another format", () => {
  const foreign: TextMapPropagator = {
    inject: () => {},
    extract: (context, carrier, getter) =>
      getter.get(carrier, "b3") === "right" ? trace.setSpanContext(context, REMOTE) : context,
    fields: () => ["b3", "baggage"],
  };

  test.each<[string, Headers, string, string | undefined]>([
    ["a sender is valid", { b3: "right" }, "valid", undefined],
    ["a field without a sender is invalid", { b3: "wrong" }, "invalid", "format"],
    ["no field is a missing sender", { baggage: "a=1", traceparent: "x" }, "missing", undefined],
    ["an empty field is a missing sender", { b3: "" }, "missing", undefined],
  ])("%s", (_, headers, status, reason) => {
    const extraction = from(headers, foreign);
    expect([extraction.status, extraction.reason]).toEqual([status, reason]);
  });

  test("a tracestate is not checked, also after another propagator read one", () => {
    from({ traceparent: TRACEPARENT, tracestate: "a=1,b" });
    expect(from({ b3: "right" }, foreign).reason).toBeUndefined();
  });

  test("an all-zero span context is no sender", () => {
    const zeros: TextMapPropagator = {
      ...foreign,
      extract: (context) => trace.setSpanContext(context, INVALID_SPAN_CONTEXT),
    };
    expect(from({}, zeros)).toMatchObject({ status: "missing", remoteParent: undefined });
  });
});

test("with no propagator at all a sender is missing, not invalid, and the reason is given", () => {
  expect(from({ traceparent: TRACEPARENT }, propagation)).toMatchObject({
    status: "missing",
    reason: "no_propagator",
  });
  expect(from({}, propagation)).not.toHaveProperty("reason");
});
