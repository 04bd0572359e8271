import { context, ROOT_CONTEXT, SpanKind, trace } from "@opentelemetry/api";
import { describe, expect, test } from "vitest";
import {
  baggageEntries,
  collectWarnings,
  type Headers,
  REMOTE,
  recordSpans,
  SETTINGS,
  SPAN_ID,
  sanitizingGetter,
  stockPropagator,
  TRACEPARENT,
} from "./fixtures.test-support.js";
import {
  ambient,
  boom,
  createInstrumenter,
  extractFrom,
  HEADERS,
  injectFrom,
} from "./instrumenter.test-support.js";

describe("a message with a sender", () => {
  test("is continued: its parent, its baggage, its tracestate", () => {
    const { extraction, extractions } = extractFrom(HEADERS);
    expect(trace.getSpanContext(extraction.parent)).toMatchObject(REMOTE);
    expect(extraction.remoteParent?.traceState?.serialize()).toBe("rojo=1");
    expect(baggageEntries(extraction.parent)).toEqual([
      ["tenant.id", "acme"],
      ["user.id", "7"],
    ]);
    expect(extraction).toMatchObject({ attributes: undefined, spanInProgress: undefined });
    expect(extractions).toEqual([{ boundary: "test", outcome: "continued" }]);
  });

  test("is also linked in messaging, and only there", () => {
    expect(extractFrom(HEADERS).extraction.links).toEqual([
      { context: expect.objectContaining(REMOTE) },
    ]);
    const { instrumenter } = createInstrumenter({}, { ...SETTINGS, messaging: false });
    expect(instrumenter.extract(HEADERS, sanitizingGetter, undefined, ROOT_CONTEXT).links).toEqual(
      [],
    );
  });

  test("is continued without its tracestate when that is malformed, which is counted", () => {
    const { extraction, extractions } = extractFrom({ ...HEADERS, tracestate: "rojo" });
    expect(extraction.remoteParent).toMatchObject(REMOTE);
    expect(extractions).toEqual([
      { boundary: "test", outcome: "continued", reason: "tracestate_invalid" },
    ]);
  });

  test("is sent on as it came in", () => {
    expect(injectFrom(extractFrom(HEADERS).extraction.parent)).toMatchObject({
      fields: HEADERS,
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
    const { extraction, instrumenter, extractions } = extractFrom(headers, {}, active);
    expect(extractions).toEqual([{ boundary: "test", outcome, ...(reason && { reason }) }]);
    expect(extraction).toMatchObject({
      remoteParent: undefined,
      links: [],
      spanInProgress: undefined,
    });

    instrumenter
      .startSpan(
        {
          name: "process",
          kind: SpanKind.CONSUMER,
          parent: extraction.parent,
          attributes: { a: 1 },
        },
        extraction,
      )
      .end();

    // Never a child of whatever was active in the process, nor with its baggage.
    expect(spans.ended[0]?.parentSpanContext).toBeUndefined();
    expect(baggageEntries(extraction.parent)).toEqual([]);
    expect(spans.ended[0]?.attributes).toEqual({
      a: 1,
      "traceferry.extraction": outcome,
      ...(reason && { "traceferry.extraction.reason": reason }),
    });
  });

  test("its baggage is kept nevertheless", () => {
    expect(baggageEntries(extractFrom({ baggage: "tenant.id=acme" }).extraction.parent)).toEqual([
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
    const { extraction, extractions } = extractFrom(HEADERS, { relation: option }, active);

    const reason = relation === "child" ? {} : { reason: "untrusted" };
    expect(extractions).toEqual([{ boundary: "test", outcome: outcomes[relation], ...reason }]);
    expect(asked).toEqual(how === "as a value" ? [] : [HEADERS]);
    expect(trace.getSpanContext(extraction.parent)?.spanId).toBe(
      relation === "child" ? SPAN_ID : undefined,
    );
    expect(extraction.links.map((link) => link.context.spanId)).toEqual(
      relation === "none" ? [] : [SPAN_ID],
    );
    expect(extraction.remoteParent?.spanId).toBe(SPAN_ID);
    expect(extraction.attributes).toEqual(
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
  ])("of a function that %s is link, and a fault is reported", (_, relation) => {
    const warnings: string[] = [];
    const release = collectWarnings(warnings);
    const { extraction, extractions, faults } = extractFrom(HEADERS, Object({ relation }));
    release();
    expect(extractions).toEqual([{ boundary: "test", outcome: "linked", reason: "untrusted" }]);
    expect(extraction.links).toHaveLength(1);
    expect(faults).toEqual([{ boundary: "test", operation: "relation" }]);
    expect(warnings).toEqual([expect.stringContaining("traceferry test: relation: ")]);
  });

  test("link and none begin a trace that keeps nothing of the sender's", () => {
    using spans = recordSpans();
    for (const relation of ["link", "none"] as const) {
      const { extraction, instrumenter } = extractFrom(
        { ...HEADERS, traceparent: TRACEPARENT.replace("-01", "-03") },
        { relation },
      );
      const activeSpan = instrumenter.startSpan(
        {
          name: relation,
          kind: SpanKind.CONSUMER,
          parent: extraction.parent,
          links: extraction.links,
        },
        extraction,
      );
      const { fields } = injectFrom(activeSpan.context);
      activeSpan.end();
      expect(Object.keys(fields ?? {})).toEqual(["traceparent"]);
      expect(fields?.traceparent).toMatch(/^00-(?!0af765)[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    }
    expect(spans.ended.map((span) => span.links.length)).toEqual([1, 0]);
  });
});

describe("the active context", () => {
  test("is the one that messages are extracted and injected in by default", () => {
    using _spans = recordSpans();
    const { instrumenter } = createInstrumenter();
    const { active, span } = ambient(
      SpanKind.SERVER,
      stockPropagator().extract(ROOT_CONTEXT, HEADERS, sanitizingGetter),
    );
    context.with(active, () => {
      expect(instrumenter.extract(HEADERS, sanitizingGetter, undefined).spanInProgress).toBe(span);
      expect(instrumenter.inject()?.fields.get("traceparent")).toContain(span.spanContext().spanId);
    });
  });

  test("keeps its other values when a message is extracted in it", () => {
    const key = Symbol("mine");
    expect(extractFrom({}, {}, ROOT_CONTEXT.setValue(key, 1)).extraction.parent.getValue(key)).toBe(
      1,
    );
  });
});

describe("spans are made", () => {
  test("by the current global provider, in the adapter's scope", () => {
    const { instrumenter } = createInstrumenter();
    const plan = { name: "x", kind: SpanKind.INTERNAL, parent: ROOT_CONTEXT };
    instrumenter.startSpan(plan).end();
    for (let i = 0; i < 2; i++) {
      using spans = recordSpans();
      instrumenter.startSpan(plan).end();
      expect(spans.ended.map((span) => span.instrumentationScope)).toEqual([
        expect.objectContaining({ name: "@traceferry/test", version: "1.2.3" }),
      ]);
    }
  });

  test("by the provider that is given", () => {
    using spans = recordSpans({ provider: false });
    const { instrumenter } = createInstrumenter({ tracerProvider: spans.provider });
    instrumenter.startSpan({ name: "x", kind: SpanKind.INTERNAL, parent: ROOT_CONTEXT }).end();
    expect(spans.ended).toHaveLength(1);
  });

  test("by one tracer, got once", () => {
    let asked = 0;
    const getTracer = () => {
      asked++;
      return trace.getTracer("x");
    };
    const { instrumenter } = createInstrumenter({ tracerProvider: { getTracer } });
    for (let i = 0; i < 3; i++)
      instrumenter.startSpan({ name: "x", kind: SpanKind.INTERNAL, parent: ROOT_CONTEXT });
    expect(asked).toBe(1);
  });
});
