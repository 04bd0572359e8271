import {
  type Context,
  type ContextManager,
  context,
  createContextKey,
  ROOT_CONTEXT,
  SpanKind,
  trace,
} from "@opentelemetry/api";
import { BROKEN_SENDERS } from "@traceferry/testkit";
import { recordSpans } from "@traceferry/testkit/record";
import type { Telemetry } from "bullmq";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { addJob, processJob, SLOW_TEST } from "../bullmq.test-support.js";
import { bullmqTelemetry } from "../index.js";

afterEach(() => {
  context.disable();
});

// An error thrown here would stop a worker for good: see the docstring of bullmqTelemetry.

const TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const VALID_TRACE_ID = /^(?!0{32})[0-9a-f]{32}$/;

const MALFORMED_METADATA: [what: string, metadata: unknown][] = [
  ["no JSON", "garbage{"],
  ["half of an object", `{"traceparent":"${TRACEPARENT}`],
  ["null", "null"],
  ["a number", "42"],
  ["a list", "[]"],
  ["a list of nothing", "[[],[null],[1,2],null]"],
  ["a text", '"x"'],
  ["an object that is no text", { traceparent: 7 }],
  ["true", true],
  ["a number that is no text", 42],
  ["letters", "zz"],
  ["an upper-case key", JSON.stringify({ TRACEPARENT: TRACEPARENT })],
  [
    "lists as values",
    JSON.stringify({ traceparent: [TRACEPARENT], tracestate: [], baggage: [[]] }),
  ],
  ["numbers as values", JSON.stringify({ traceparent: 1, tracestate: 2, baggage: 3 })],
  ["objects as values", JSON.stringify({ traceparent: {}, tracestate: { a: 1 }, baggage: null })],
  [
    "a megabyte of baggage",
    JSON.stringify({ traceparent: TRACEPARENT, baggage: "a=".padEnd(1e6, "x") }),
  ],
  [
    "a key __proto__",
    `{"__proto__":{"traceparent":"${TRACEPARENT}"},"traceparent":"${TRACEPARENT}"}`,
  ],
  ["ten thousand brackets", "[".repeat(10_000)],
  ...BROKEN_SENDERS.map(({ name, headers }): [string, string] => [name, JSON.stringify(headers)]),
];

test.each(MALFORMED_METADATA)(
  "a job whose metadata hold %s is processed in a valid trace",
  async (_, metadata) => {
    using spans = recordSpans();
    let ran = 0;

    await processJob(
      bullmqTelemetry(),
      { id: "7", data: "{}", opts: JSON.stringify({ tm: metadata }) },
      () => ran++,
    );

    expect(ran).toBe(1);
    expect(spans.named("process orders").traceId).toMatch(VALID_TRACE_ID);
    expect(spans.open).toEqual([]);
  },
);

test("no metadata stop a worker, whatever they hold", SLOW_TEST, () => {
  using spans = recordSpans();
  const { tracer, contextManager } = bullmqTelemetry();
  const hostile = fc.oneof(
    fc.json(),
    fc.string({ unit: "binary" }),
    fc
      .record(
        { traceparent: fc.anything(), tracestate: fc.anything(), baggage: fc.anything() },
        { requiredKeys: [] },
      )
      .map((carrier) => {
        try {
          return JSON.stringify(carrier);
        } catch {
          return "";
        }
      }),
    fc.string({ unit: fc.constantFrom(..."0123456789abcdef-"), minLength: 50, maxLength: 60 }),
    fc
      .tuple(fc.nat(60), fc.string({ maxLength: 1 }))
      .map(([at, text]) => TRACEPARENT.slice(0, at) + text + TRACEPARENT.slice(at + 1)),
  );
  fc.assert(
    fc.property(hostile, (metadata) => {
      const received: Context = contextManager.fromMetadata(ROOT_CONTEXT, metadata);
      const span = tracer.startSpan("process orders", { kind: SpanKind.CONSUMER }, received);
      span.setAttributes({ "bullmq.queue.name": "orders" });
      const within: Context = span.setSpanOnContext(received);
      contextManager.with(within, () => undefined);
      span.end();
      expect(trace.getSpanContext(within)?.traceId).toMatch(VALID_TRACE_ID);
    }),
    { numRuns: 1000 },
  );
  expect(spans.open).toEqual([]);
});

test.each<[what: string, overrides: Partial<ContextManager>, warning: string]>([
  [
    "throws before it runs anything",
    {
      with: () => {
        throw new Error("before");
      },
    },
    "with context: Error: before",
  ],
  [
    "throws after it ran all",
    {
      with(_context, fn, self, ...args) {
        fn.apply(self, args);
        throw new Error("after");
      },
    },
    "with context: Error: after",
  ],
  [
    "does not know what is active",
    {
      active: () => {
        throw new Error("lost");
      },
    },
    "active context: Error: lost",
  ],
])(
  "a context manager that %s costs no job, and none is processed twice",
  async (_, overrides, warning) => {
    using spans = recordSpans({ provider: false });
    context.disable();
    context.setGlobalContextManager({ ...workingContextManager(), ...overrides });
    const telemetry = bullmqTelemetry();
    let ran = 0;

    const job = await addJob(telemetry, { order: 1042 });
    await processJob(telemetry, job, () => ran++);

    expect(job).toMatchObject({ data: '{"order":1042}', opts: "{}" });
    expect(ran).toBe(1);
    expect(spans.warnings).toEqual([`traceferry bullmq: ${warning}`]);
  },
);

test("a context manager that does not know what is active leaves no span open", async () => {
  using spans = recordSpans();
  context.disable();
  const active = () => {
    throw new Error("lost");
  };
  context.setGlobalContextManager({ ...workingContextManager(), active });
  const telemetry = bullmqTelemetry();

  await processJob(telemetry, await addJob(telemetry, {}), () => undefined);

  expect(spans.open).toEqual([]);
  expect(spans.ended.map(({ name }) => name)).toEqual(["add orders", "process orders"]);
});

function workingContextManager(): ContextManager {
  const manager: ContextManager = {
    active: () => ROOT_CONTEXT,
    with: (_context, fn, self, ...args) => fn.apply(self, args),
    bind: (_context, target) => target,
    enable: () => manager,
    disable: () => manager,
  };
  return manager;
}

test("an error of BullMQ's own code is thrown on, the same object", () => {
  const refused = new RangeError("JobId cannot be '0'");
  let ran = 0;

  const run = () =>
    bullmqTelemetry().contextManager.with(ROOT_CONTEXT, () => {
      ran++;
      throw refused;
    });

  expect(run).toThrow(refused);
  expect(ran).toBe(1);
});

describe("what throws when it is read is reported and harms nothing:", () => {
  const boom = () => {
    throw new Error("on purpose");
  };
  const hostile: Context = { getValue: boom, setValue: boom, deleteValue: boom };
  const warningsAfter = (act: (telemetry: Telemetry<Context>) => void) => {
    using spans = recordSpans();
    act(bullmqTelemetry());
    return spans.warnings;
  };

  test("the context of a job that is sent", () => {
    const warnings = warningsAfter(({ tracer, contextManager }) => {
      const span = tracer.startSpan("add orders.place", { kind: SpanKind.PRODUCER });
      expect(span.setSpanOnContext(hostile)).toBe(hostile);
      expect(contextManager.getMetadata(hostile)).toBe("");
      span.end();
    });

    expect(warnings).toEqual([
      "traceferry bullmq: set span: Error: on purpose",
      "traceferry bullmq: get metadata: Error: on purpose",
    ]);
  });

  test("the context of a job that arrives", () => {
    const active = ROOT_CONTEXT.setValue(createContextKey("active"), 1);

    const warnings = warningsAfter(({ tracer }) => {
      const span = tracer.startSpan("process orders", { kind: SpanKind.CONSUMER }, hostile);
      expect(span.setSpanOnContext(active)).toBe(ROOT_CONTEXT);
      span.end();
    });

    expect(warnings).toEqual([
      "traceferry bullmq: set span: Error: on purpose",
      "traceferry bullmq: end span: Error: on purpose",
    ]);
  });

  test("the context of an internal operation", () => {
    const warnings = warningsAfter(({ tracer }) => {
      const span = tracer.startSpan("extendLocks orders", { kind: SpanKind.INTERNAL });
      expect(span.setSpanOnContext(hostile)).toBe(hostile);
      span.end();
    });

    expect(warnings).toEqual(["traceferry bullmq: suppress: Error: on purpose"]);
  });

  test("attributes", () => {
    const attributes = new Proxy({}, { ownKeys: boom });

    const warnings = warningsAfter(({ tracer }) => {
      const span = tracer.startSpan("process orders", { kind: SpanKind.CONSUMER });
      span.setAttributes(attributes);
      span.end();
    });

    expect(warnings).toEqual(["traceferry bullmq: set attributes: Error: on purpose"]);
  });
});

test.each([7, {}, { getValue: 7 }])(
  "%j that another library puts under our context key changes nothing that is sent",
  (value) => {
    using spans = recordSpans();
    const span = spans.tracer().startSpan("place order");
    const key = createContextKey("traceferry bullmq enclosing");
    const from = trace.setSpan(ROOT_CONTEXT, span).setValue(key, value);

    const metadata = bullmqTelemetry().contextManager.getMetadata(from);
    span.end();

    expect(metadata).toContain(span.spanContext().spanId);
  },
);

test("a span without a kind is an internal operation, and accepts every call", () => {
  using spans = recordSpans();

  const span = bullmqTelemetry().tracer.startSpan("trimEvents orders");
  span.setAttribute("bullmq.job.id", "7");
  span.setAttributes({ "bullmq.job.id": "7" });
  span.addEvent("trimmed", {});
  span.recordException("Connection is closed.");
  span.end();

  expect([...spans.ended, ...spans.open, ...spans.warnings]).toEqual([]);
});
