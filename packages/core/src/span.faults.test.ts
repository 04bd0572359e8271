import { ROOT_CONTEXT, type Span, SpanStatusCode, type Tracer, trace } from "@opentelemetry/api";
import { describe, expect, test } from "vitest";
import { REMOTE, recordSpans, SPAN_ID } from "./fixtures.test-support.js";
import { errorType, withSpan } from "./span.js";
import { activeSpanId, failure, PARENT, startTestSpan, throwFailure } from "./span.test-support.js";

describe("the caller gets the same object that was thrown, also when it is", () => {
  const boobyTrapped = Object.defineProperty(new Error("x"), "name", { get: throwFailure });
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();

  test.each<[string, unknown]>([
    ["an error whose name throws", boobyTrapped],
    ["a revoked proxy", revoked.proxy],
  ])("%s", (_, thrown) => {
    using spans = recordSpans();
    let caught: unknown;
    try {
      withSpan(startTestSpan(), () => {
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

describe("a broken tracer costs only its span:", () => {
  const throwing: Span = {
    spanContext: throwFailure,
    setAttribute: throwFailure,
    setAttributes: throwFailure,
    addEvent: throwFailure,
    addLink: throwFailure,
    addLinks: throwFailure,
    setStatus: throwFailure,
    updateName: throwFailure,
    end: throwFailure,
    isRecording: throwFailure,
    recordException: throwFailure,
  };
  const tracerOf = (startSpan: () => Span): Tracer => ({
    startSpan,
    startActiveSpan: throwFailure,
  });

  test.each<[string, () => Tracer, string[]]>([
    ["no tracer", throwFailure, ["start span"]],
    ["a tracer that throws", () => tracerOf(throwFailure), ["start span"]],
    ["a tracer that makes nothing", () => tracerOf(() => Object(undefined).nothing), []],
    [
      "a span that throws",
      () => tracerOf(() => throwing),
      ["end span", "record failure", "set attributes"],
    ],
  ])("%s", async (_, tracer, operations) => {
    using spans = recordSpans();
    for (const parent of [PARENT, ROOT_CONTEXT]) {
      const activeSpan = startTestSpan({ parent }, tracer);
      activeSpan.set({ a: 1 });
      expect(withSpan(activeSpan, () => 42)).toBe(42);
      expect(() => withSpan(startTestSpan({ parent }, tracer), throwFailure)).toThrow(failure);
      expect(await withSpan(startTestSpan({ parent }, tracer), async () => 42)).toBe(42);
    }
    const expected = operations.map(
      (operation) => `traceferry test: ${operation}: RangeError: on purpose`,
    );
    expect([...new Set(spans.warnings)].sort()).toEqual(expected);
  });

  test("the sender's context is carried on, and so is the trace", () => {
    using _spans = recordSpans();
    const activeSpan = startTestSpan({}, throwFailure);
    withSpan(activeSpan, (span) => {
      expect(span.spanContext()).toEqual(REMOTE);
      expect(activeSpanId()).toBe(SPAN_ID);
    });
  });

  test("also when the parent is a foreign span that throws", () => {
    using _spans = recordSpans();
    const activeSpan = startTestSpan({ parent: trace.setSpan(ROOT_CONTEXT, throwing) });
    expect(withSpan(activeSpan, () => 42)).toBe(42);
  });
});

describe("the function that decides whether something thrown is a failure", () => {
  test("is not called when the span has ended", () => {
    using spans = recordSpans();
    const activeSpan = startTestSpan();
    activeSpan.end();
    activeSpan.endWith(failure, () => expect.fail("asked"));
    expect(spans.warnings).toEqual([]);
    expect(spans.ended.map((span) => span.status)).toEqual([{ code: SpanStatusCode.UNSET }]);
  });

  test("is reported when it throws, and then it is a failure", () => {
    using spans = recordSpans();
    startTestSpan().endWith("thrown", throwFailure);
    expect(spans.warnings).toEqual(["traceferry test: isFailure: RangeError: on purpose"]);
    expect(spans.ended[0]?.status).toEqual({ code: SpanStatusCode.ERROR, message: "thrown" });
  });
});
