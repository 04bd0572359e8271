import { context, ROOT_CONTEXT, SpanKind, trace } from "@opentelemetry/api";
import { describe, expect, test } from "vitest";
import {
  collectWarnings,
  entriesOf,
  type Headers,
  hygienic,
  REMOTE,
  recordSpans,
  SETTINGS,
  SPAN_ID,
  stockPropagator,
  TRACEPARENT,
} from "./fixtures.test-support.js";
import { ALL, ambient, boom, boundaryWith, receive, sent } from "./instrumenter.test-support.js";

describe("a message with a sender", () => {
  test("is continued: its parent, its baggage, its tracestate", () => {
    const { arrival, extractions } = receive(ALL);
    expect(trace.getSpanContext(arrival.parent)).toMatchObject(REMOTE);
    expect(arrival.remoteParent?.traceState?.serialize()).toBe("rojo=1");
    expect(entriesOf(arrival.parent)).toEqual([
      ["tenant.id", "acme"],
      ["user.id", "7"],
    ]);
    expect(arrival).toMatchObject({ attributes: undefined, spanInProgress: undefined });
    expect(extractions).toEqual([{ boundary: "test", outcome: "continued" }]);
  });

  test("is linked as well in messaging, and only there", () => {
    expect(receive(ALL).arrival.links).toEqual([{ context: expect.objectContaining(REMOTE) }]);
    const { boundary } = boundaryWith({}, { ...SETTINGS, messaging: false });
    expect(boundary.extract(ALL, hygienic, undefined, ROOT_CONTEXT).links).toEqual([]);
  });

  test("is continued without its tracestate when that is malformed, which is counted", () => {
    const { arrival, extractions } = receive({ ...ALL, tracestate: "rojo" });
    expect(arrival.remoteParent).toMatchObject(REMOTE);
    expect(extractions).toEqual([
      { boundary: "test", outcome: "continued", reason: "tracestate_invalid" },
    ]);
  });

  test("goes out again as it came in", () => {
    expect(sent(receive(ALL).arrival.parent)).toMatchObject({
      fields: ALL,
      injections: [{ boundary: "test", outcome: "injected" }],
    });
  });
});

describe("a message without a sender begins a new trace, and its span says why:", () => {
  test.each<[string, Headers, object]>([
    ["there are no headers", {}, { outcome: "missing" }],
    [
      "the traceparent was sent twice",
      { traceparent: [TRACEPARENT, TRACEPARENT] },
      { outcome: "invalid", reason: "repeated" },
    ],
    ["it is malformed", { traceparent: "x" }, { outcome: "invalid", reason: "format" }],
    [
      "it is of version ff",
      { traceparent: TRACEPARENT.replace("00", "ff") },
      { outcome: "invalid", reason: "version" },
    ],
    [
      "it has only zeros",
      { traceparent: TRACEPARENT.replace(SPAN_ID, "0".repeat(16)) },
      { outcome: "invalid", reason: "zero_id" },
    ],
    [
      "it is too long",
      { traceparent: "x".repeat(600) },
      { outcome: "invalid", reason: "too_long" },
    ],
  ])("%s", (_, headers, { outcome, reason }: { outcome?: string; reason?: string }) => {
    using spans = recordSpans();
    const { active } = ambient();
    const { arrival, boundary, extractions } = receive(headers, {}, active);
    expect(extractions).toEqual([{ boundary: "test", outcome, ...(reason && { reason }) }]);
    expect(arrival).toMatchObject({
      remoteParent: undefined,
      links: [],
      spanInProgress: undefined,
    });

    boundary
      .startSpan(
        { name: "process", kind: SpanKind.CONSUMER, parent: arrival.parent, attributes: { a: 1 } },
        arrival,
      )
      .end();

    // Never a child of whatever was active in the process, nor with its baggage.
    expect(spans.ended[0]?.parentSpanContext).toBeUndefined();
    expect(entriesOf(arrival.parent)).toEqual([]);
    expect(spans.ended[0]?.attributes).toEqual({
      a: 1,
      "traceferry.extraction": outcome,
      ...(reason && { "traceferry.extraction.reason": reason }),
    });
  });

  test("its baggage is kept all the same", () => {
    expect(entriesOf(receive({ baggage: "tenant.id=acme" }).arrival.parent)).toEqual([
      ["tenant.id", "acme"],
    ]);
  });
});

describe("the relation", () => {
  const outcomes = { child: "continued", link: "linked", none: "ignored" } as const;

  test.each([
    ["child", "as a value"],
    ["link", "as a value"],
    ["none", "as a value"],
    ["child", "as a function of the message"],
    ["link", "as a function of the message"],
    ["none", "as a function of the message"],
  ] as const)("%s, %s", (relation, how) => {
    using _spans = recordSpans();
    const asked: unknown[] = [];
    const option =
      how === "as a value"
        ? relation
        : (message: unknown) => {
            asked.push(message);
            return relation;
          };
    const { active } = ambient();
    const { arrival, extractions } = receive(ALL, { relation: option }, active);

    const reason = relation === "child" ? {} : { reason: "untrusted" };
    expect(extractions).toEqual([{ boundary: "test", outcome: outcomes[relation], ...reason }]);
    expect(asked).toEqual(how === "as a value" ? [] : [ALL]);
    expect(trace.getSpanContext(arrival.parent)?.spanId).toBe(
      relation === "child" ? SPAN_ID : undefined,
    );
    expect(arrival.links.map((link) => link.context.spanId)).toEqual(
      relation === "none" ? [] : [SPAN_ID],
    );
    expect(arrival.remoteParent?.spanId).toBe(SPAN_ID);
    expect(arrival.attributes).toEqual(
      relation === "child"
        ? undefined
        : {
            "traceferry.extraction": outcomes[relation],
            "traceferry.extraction.reason": "untrusted",
          },
    );
  });

  test.each<[string, unknown]>([
    ["throws", boom],
    ["gives nothing", () => undefined],
    ["gives another word", () => "parent"],
    ["gives a promise", async () => "child"],
    ["gives what cannot be shown", () => Object.create(null)],
  ])("of a function that %s is link, and that is a fault", (_, relation) => {
    const warnings: string[] = [];
    const release = collectWarnings(warnings);
    const { arrival, extractions, faults } = receive(ALL, Object({ relation }));
    release();
    expect(extractions).toEqual([{ boundary: "test", outcome: "linked", reason: "untrusted" }]);
    expect(arrival.links).toHaveLength(1);
    expect(faults).toEqual([{ boundary: "test", operation: "relation" }]);
    expect(warnings).toEqual([expect.stringContaining("traceferry test: relation: ")]);
  });

  test("link and none begin a trace that knows nothing of the sender's", () => {
    using spans = recordSpans();
    for (const relation of ["link", "none"] as const) {
      const { arrival, boundary } = receive(
        { ...ALL, traceparent: TRACEPARENT.replace("-01", "-03") },
        { relation },
      );
      const open = boundary.startSpan(
        { name: relation, kind: SpanKind.CONSUMER, parent: arrival.parent, links: arrival.links },
        arrival,
      );
      const { fields } = sent(open.context);
      open.end();
      expect(Object.keys(fields ?? {})).toEqual(["traceparent"]);
      expect(fields?.traceparent).toMatch(/^00-(?!0af765)[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    }
    expect(spans.ended.map((span) => span.links.length)).toEqual([1, 0]);
  });
});

describe("the active context", () => {
  test("is where a message arrives and leaves, when no other is given", () => {
    using _spans = recordSpans();
    const { boundary } = boundaryWith();
    const { active, span } = ambient(
      SpanKind.SERVER,
      stockPropagator().extract(ROOT_CONTEXT, ALL, hygienic),
    );
    context.with(active, () => {
      expect(boundary.extract(ALL, hygienic, undefined).spanInProgress).toBe(span);
      expect(boundary.inject()?.fields.get("traceparent")).toContain(span.spanContext().spanId);
    });
  });

  test("keeps what is no trace when a message arrives in it", () => {
    const key = Symbol("mine");
    expect(receive({}, {}, ROOT_CONTEXT.setValue(key, 1)).arrival.parent.getValue(key)).toBe(1);
  });
});

describe("spans are made", () => {
  test("by the global provider of the moment, in the adapter's scope", () => {
    const { boundary } = boundaryWith();
    const plan = { name: "x", kind: SpanKind.INTERNAL, parent: ROOT_CONTEXT };
    boundary.startSpan(plan).end();
    for (let i = 0; i < 2; i++) {
      using spans = recordSpans();
      boundary.startSpan(plan).end();
      expect(spans.ended.map((span) => span.instrumentationScope)).toEqual([
        expect.objectContaining({ name: "@traceferry/test", version: "1.2.3" }),
      ]);
    }
  });

  test("by the provider that is given", () => {
    using spans = recordSpans({ provider: false });
    const { boundary } = boundaryWith({ tracerProvider: spans.provider });
    boundary.startSpan({ name: "x", kind: SpanKind.INTERNAL, parent: ROOT_CONTEXT }).end();
    expect(spans.ended).toHaveLength(1);
  });

  test("of one tracer, asked for once", () => {
    let asked = 0;
    const getTracer = () => {
      asked++;
      return trace.getTracer("x");
    };
    const { boundary } = boundaryWith({ tracerProvider: { getTracer } });
    for (let i = 0; i < 3; i++)
      boundary.startSpan({ name: "x", kind: SpanKind.INTERNAL, parent: ROOT_CONTEXT });
    expect(asked).toBe(1);
  });
});
