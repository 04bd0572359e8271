import { PassThrough, Readable } from "node:stream";
import { runInNewContext } from "node:vm";
import {
  type Attributes,
  context,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { describe, expect, test } from "vitest";
import { REMOTE, recordSpans, SLOW_TEST, TRACE_ID } from "./fixtures.test-support.js";
import { withSpan } from "./span.js";
import { activeSpanId, failure, PARENT, startTestSpan, throwFailure } from "./span.test-support.js";

describe("a span starts", () => {
  test("as a child of its sender, with its attributes and links", () => {
    using spans = recordSpans();
    const link = { context: { ...REMOTE, spanId: "00f067aa0ba902b7" } };
    startTestSpan({ attributes: { a: 1 }, links: [link] }).end();
    expect(spans.ended).toHaveLength(1);
    expect(spans.ended[0]).toMatchObject({
      name: "process orders",
      kind: SpanKind.CONSUMER,
      attributes: { a: 1 },
      parentSpanContext: REMOTE,
    });
    expect(spans.ended[0]?.links.map((one) => one.context.spanId)).toEqual([link.context.spanId]);
    expect(spans.ended[0]?.spanContext().traceId).toBe(TRACE_ID);
  });

  test("as a root where there is no sender, whatever is active", () => {
    using spans = recordSpans();
    spans.tracer.startActiveSpan("ambient", (ambient) => {
      startTestSpan({ parent: ROOT_CONTEXT }).end();
      ambient.end();
    });
    expect(spans.ended[0]?.parentSpanContext).toBeUndefined();
  });

  test("and is in its context, in the place of its parent", () => {
    using spans = recordSpans();
    const key = Symbol("mine");
    const activeSpan = startTestSpan({ parent: PARENT.setValue(key, "kept") });
    expect(trace.getSpan(activeSpan.context)).toBe(activeSpan.span);
    expect(activeSpan.context.getValue(key)).toBe("kept");
    expect(spans.open).toEqual(["process orders"]);
    activeSpan.end();
  });
});

describe("a function in a span", () => {
  test("returns its own value, with its span active and passed to it", () => {
    using spans = recordSpans();
    const value = {};
    const activeSpan = startTestSpan();
    const result = withSpan(activeSpan, (span) => {
      expect(span).toBe(activeSpan.span);
      expect(trace.getSpan(context.active())).toBe(activeSpan.span);
      return value;
    });
    expect(result).toBe(value);
    expect(activeSpanId()).toBeUndefined();
    expect(spans.ended.map((span) => span.status)).toEqual([{ code: SpanStatusCode.UNSET }]);
  });

  test("throws its own error, which is recorded on the span", () => {
    using spans = recordSpans();
    expect(() => withSpan(startTestSpan(), throwFailure)).toThrow(failure);
    expect(spans.ended[0]).toMatchObject({
      status: { code: SpanStatusCode.ERROR, message: "on purpose" },
      attributes: { "error.type": "RangeError" },
      events: [
        {
          name: "exception",
          attributes: { "exception.type": "RangeError", "exception.message": "on purpose" },
        },
      ],
    });
  });

  test("that is async keeps its span open and active until its promise is fulfilled", async () => {
    using spans = recordSpans();
    const activeSpan = startTestSpan();
    const result = withSpan(activeSpan, async (span) => {
      await Promise.resolve();
      expect(activeSpanId()).toBe(span.spanContext().spanId);
      return 42;
    });
    expect(spans.open).toEqual(["process orders"]);
    expect(await result).toBe(42);
    expect([spans.open, spans.ended.length]).toEqual([[], 1]);
  });

  test("that is async rejects with its own error, which is recorded on the span", async () => {
    using spans = recordSpans();
    await expect(withSpan(startTestSpan(), () => Promise.reject(failure))).rejects.toBe(failure);
    expect(spans.ended[0]?.status).toEqual({ code: SpanStatusCode.ERROR, message: "on purpose" });
  });

  test("that is a generator has its span active in each step, and open until the last", () => {
    using spans = recordSpans();
    const activeSpan = startTestSpan();
    const steps = withSpan(activeSpan, function* () {
      yield activeSpanId();
      yield activeSpanId();
    });
    expect(spans.open).toHaveLength(1);
    const id = activeSpan.span.spanContext().spanId;
    expect([...steps]).toEqual([id, id]);
    expect(spans.ended).toHaveLength(1);
  });

  test("that is an async generator ends its span when its loop is left", async () => {
    using spans = recordSpans();
    const activeSpan = startTestSpan();
    const steps = withSpan(activeSpan, async function* () {
      yield activeSpanId();
      yield "never";
    });
    for await (const id of steps) {
      expect(id).toBe(activeSpan.span.spanContext().spanId);
      expect(spans.open).toHaveLength(1);
      break;
    }
    expect([spans.open, spans.ended.length]).toEqual([[], 1]);
  });

  test("that returns a stream ends its span once, when the stream is read", async () => {
    using spans = recordSpans();
    const stream = withSpan(startTestSpan(), () => Readable.from(["a"]));
    expect(spans.open).toHaveLength(1);
    await stream.toArray();
    await new Promise((resolve) =>
      stream.closed ? resolve(undefined) : stream.once("close", resolve),
    );
    expect([spans.open, spans.ended.length, spans.warnings]).toEqual([[], 1, []]);
  });

  test("that returns a stream has the stream's error recorded", async () => {
    using spans = recordSpans();
    const stream = withSpan(startTestSpan(), () => new PassThrough());
    const seen = new Promise((resolve) => stream.once("error", resolve));
    stream.destroy(failure);
    expect(await seen).toBe(failure);
    expect(spans.ended[0]?.status).toEqual({ code: SpanStatusCode.ERROR, message: "on purpose" });
  });

  test("may throw something that is no failure", () => {
    using spans = recordSpans();
    expect(() =>
      withSpan(startTestSpan(), throwFailure, (thrown) => !(thrown instanceof RangeError)),
    ).toThrow(failure);
    expect(spans.ended[0]).toMatchObject({
      status: { code: SpanStatusCode.UNSET },
      attributes: {},
    });
  });

  test("throws its own error also when `isFailure` throws", () => {
    using spans = recordSpans();
    const unsure = () => {
      throw new Error("which one?");
    };
    expect(() => withSpan(startTestSpan(), throwFailure, unsure)).toThrow(failure);
    expect(spans.ended[0]?.status.code).toBe(SpanStatusCode.ERROR);
    expect(spans.warnings.join()).toContain("which one?");
  });
});

describe("a span", () => {
  test("ends once, and nothing changes it afterwards", () => {
    using spans = recordSpans();
    const activeSpan = startTestSpan();
    activeSpan.end();
    activeSpan.end();
    activeSpan.set({ late: true });
    activeSpan.fail(failure);
    activeSpan.endWith(failure, () => true);
    expect(spans.ended).toHaveLength(1);
    expect(spans.ended[0]).toMatchObject({
      attributes: {},
      status: { code: SpanStatusCode.UNSET },
    });
    expect(spans.warnings).toEqual([]);
  });

  test("takes attributes that become known later", () => {
    using spans = recordSpans();
    const activeSpan = startTestSpan();
    activeSpan.set({ "messaging.message.id": "1" });
    activeSpan.end();
    expect(spans.ended[0]?.attributes).toEqual({ "messaging.message.id": "1" });
  });

  test("lets a function that it runs throw, unrecorded", () => {
    using spans = recordSpans();
    const activeSpan = startTestSpan();
    expect(() => activeSpan.run(throwFailure)).toThrow(failure);
    expect(spans.open).toHaveLength(1);
    activeSpan.end();
    expect(spans.ended[0]?.status.code).toBe(SpanStatusCode.UNSET);
  });

  test.each<[string, unknown, string, string]>([
    ["an Error", new Error("x"), "Error", "x"],
    ["an Error of another realm", runInNewContext("new RangeError('x')"), "RangeError", "x"],
    [
      "an error of a function constructor",
      Object.setPrototypeOf({ name: "OldError", message: "x" }, Error.prototype),
      "OldError",
      "x",
    ],
    ["what an aborted signal throws", new DOMException("x", "AbortError"), "AbortError", "x"],
    ["a text", "out of stock", "_OTHER", "out of stock"],
    ["a number", 42, "_OTHER", "number"],
    ["nothing", undefined, "_OTHER", "undefined"],
    ["a long message", new Error("x".repeat(10_000)), "Error", "x".repeat(500)],
    ["an error without a name", Object.assign(new Error("x"), { name: "" }), "Error", "x"],
    ["an error whose name is no text", Object.assign(new Error("x"), { name: 5 }), "Error", "x"],
  ])("fails with %s", (_, error, type, message) => {
    using spans = recordSpans();
    const activeSpan = startTestSpan();
    activeSpan.fail(error);
    activeSpan.end();
    expect(spans.ended[0]).toMatchObject({
      attributes: { "error.type": type },
      status: { code: SpanStatusCode.ERROR, message },
    });
    expect(spans.ended[0]?.events).toHaveLength(type === "_OTHER" ? 0 : 1);
  });

  test("fails with the type that is given", () => {
    using spans = recordSpans();
    const activeSpan = startTestSpan();
    activeSpan.fail(failure, "14");
    activeSpan.end();
    expect(spans.ended[0]?.attributes).toEqual({ "error.type": "14" });
  });
});

test("without an SDK the sender's context is carried on", () => {
  const activeSpan = startTestSpan();
  expect(withSpan(activeSpan, (span) => span.spanContext())).toEqual(REMOTE);
});

test("a tracer gets no empty attributes and no empty links", () => {
  const asked: unknown[] = [];
  const tracer: Tracer = {
    startSpan(_name, options) {
      asked.push(options);
      return trace.wrapSpanContext(REMOTE);
    },
    startActiveSpan: throwFailure,
  };
  startTestSpan({}, () => tracer).end();
  startTestSpan({ links: [] }, () => tracer).end();
  expect(asked).toStrictEqual([{ kind: SpanKind.CONSUMER }, { kind: SpanKind.CONSUMER }]);
});

test("a sampler sees all attributes that are known at the start", () => {
  const seen: (Attributes | undefined)[] = [];
  using spans = recordSpans({
    sampler: {
      shouldSample(_context, _traceId, _name, _kind, attributes) {
        seen.push({ ...attributes });
        return { decision: 2 };
      },
      toString: () => "watching",
    },
  });
  startTestSpan({ attributes: { "messaging.system": "kafka" } }).end();
  expect(seen).toEqual([{ "messaging.system": "kafka" }]);
  expect(spans.ended).toHaveLength(1);
});

test(
  "ten thousand spans leave nothing open, nothing active and no listener",
  SLOW_TEST,
  async () => {
    using spans = recordSpans();
    const listeners = () => process.eventNames().map((name) => process.listenerCount(name));
    const before = listeners();
    for (let i = 0; i < 10_000; i += 5) {
      withSpan(startTestSpan(), () => i);
      expect(() => withSpan(startTestSpan(), throwFailure)).toThrow(failure);
      await withSpan(startTestSpan(), async () => i);
      await withSpan(startTestSpan(), () => Promise.reject(failure)).catch(() => {});
      for (const _ of withSpan(startTestSpan(), () => [i].values())) break;
    }
    expect(spans.ended).toHaveLength(10_000);
    expect(spans.open).toEqual([]);
    expect(context.active()).toBe(ROOT_CONTEXT);
    expect(listeners()).toEqual(before);
  },
);
