import { ROOT_CONTEXT, type Span, SpanStatusCode, type Tracer, trace } from "@opentelemetry/api";
import { describe, expect, test } from "vitest";
import { REMOTE, recordSpans, SPAN_ID } from "./fixtures.test-support.js";
import { errorType, withSpan } from "./span.js";
import { activeSpanId, boom, open, PARENT, toThrow } from "./span.test-support.js";

describe("what is thrown reaches the caller, the same, also when it is", () => {
  const boobyTrapped = Object.defineProperty(new Error("x"), "name", { get: toThrow });
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();

  test.each<[string, unknown]>([
    ["an error whose name throws", boobyTrapped],
    ["an object that cannot be looked at", revoked.proxy],
  ])("%s", (_, thrown) => {
    using spans = recordSpans();
    let caught: unknown;
    try {
      withSpan(open(), () => {
        throw thrown;
      });
    } catch (error) {
      caught = error;
    }
    expect(caught === thrown).toBe(true);
    expect(spans.open).toEqual([]);
    expect(errorType(thrown)).toBe("_OTHER");
  });
});

describe("a broken tracer costs nothing but its span:", () => {
  const throwing: Span = {
    spanContext: toThrow,
    setAttribute: toThrow,
    setAttributes: toThrow,
    addEvent: toThrow,
    addLink: toThrow,
    addLinks: toThrow,
    setStatus: toThrow,
    updateName: toThrow,
    end: toThrow,
    isRecording: toThrow,
    recordException: toThrow,
  };
  const tracerOf = (startSpan: () => Span): Tracer => ({ startSpan, startActiveSpan: toThrow });

  test.each<[string, () => Tracer, string[]]>([
    ["no tracer", toThrow, ["start span"]],
    ["a tracer that throws", () => tracerOf(toThrow), ["start span"]],
    ["a tracer that makes nothing", () => tracerOf(() => Object(undefined).nothing), []],
    [
      "a span that throws",
      () => tracerOf(() => throwing),
      ["end span", "record failure", "set attributes"],
    ],
  ])("%s", async (_, tracer, operations) => {
    using spans = recordSpans();
    for (const parent of [PARENT, ROOT_CONTEXT]) {
      const one = open({ parent }, tracer);
      one.set({ a: 1 });
      expect(withSpan(one, () => 42)).toBe(42);
      expect(() => withSpan(open({ parent }, tracer), toThrow)).toThrow(boom);
      expect(await withSpan(open({ parent }, tracer), async () => 42)).toBe(42);
    }
    const told = operations.map(
      (operation) => `traceferry test: ${operation}: RangeError: on purpose`,
    );
    expect([...new Set(spans.warnings)].sort()).toEqual(told);
  });

  test("the sender goes on, so that the trace does", () => {
    using _spans = recordSpans();
    const one = open({}, toThrow);
    withSpan(one, (span) => {
      expect(span.spanContext()).toEqual(REMOTE);
      expect(activeSpanId()).toBe(SPAN_ID);
    });
  });

  test("also when the parent is somebody's span that throws", () => {
    using _spans = recordSpans();
    const one = open({ parent: trace.setSpan(ROOT_CONTEXT, throwing) });
    expect(withSpan(one, () => 42)).toBe(42);
  });
});

describe("whether something thrown is a failure", () => {
  test("is not asked any more when the span has ended", () => {
    using spans = recordSpans();
    const one = open();
    one.end();
    one.endWith(boom, () => expect.fail("asked"));
    expect(spans.warnings).toEqual([]);
    expect(spans.ended.map((span) => span.status)).toEqual([{ code: SpanStatusCode.UNSET }]);
  });

  test("is taken to be so, and told, when the one who is asked throws", () => {
    using spans = recordSpans();
    open().endWith("thrown", toThrow);
    expect(spans.warnings).toEqual(["traceferry test: isFailure: RangeError: on purpose"]);
    expect(spans.ended[0]?.status).toEqual({ code: SpanStatusCode.ERROR, message: "thrown" });
  });
});
