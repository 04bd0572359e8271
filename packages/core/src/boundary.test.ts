import {
  type Baggage,
  baggageEntryMetadataFromString,
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  type TextMapPropagator,
  trace,
} from "@opentelemetry/api";
import { describe, expect, test } from "vitest";
import { Boundary } from "./boundary.js";
import { HygienicGetter } from "./carrier.js";
import {
  CountingMeterProvider,
  collectWarnings,
  entriesOf,
  type Headers,
  hygienic,
  REMOTE,
  recordSpans,
  SETTINGS,
  SPAN_ID,
  stockPropagator,
  TRACE_ID,
  TRACEPARENT,
} from "./kit.test.helper.js";
import type { TracingOptions } from "./options.js";
import type { Relation } from "./relation.js";
import { withSpan } from "./span.js";
import { suppressTracing } from "./suppress.js";
import { w3cPropagator } from "./w3c/propagator.js";

const ALL = { traceparent: TRACEPARENT, tracestate: "rojo=1", baggage: "tenant.id=acme,user.id=7" };
const strict = w3cPropagator();
const boom = (): never => {
  throw new Error("on purpose");
};

/** A boundary with the strict propagator, and what it counts. */
function boundaryWith(options: TracingOptions<unknown> = {}, settings = SETTINGS) {
  const counted = new CountingMeterProvider();
  const boundary = new Boundary(settings, {
    propagator: strict,
    meterProvider: counted,
    ...options,
  });
  return { boundary, counted };
}

function receive(headers: Headers, options?: TracingOptions<unknown>, active = ROOT_CONTEXT) {
  const { boundary, counted } = boundaryWith(options);
  const arrival = boundary.receive(headers, hygienic, headers, active);
  return {
    arrival,
    boundary,
    extractions: counted.of("extractions"),
    faults: counted.of("faults"),
  };
}

/** What goes out in a context. */
function sent(from: Context, options?: TracingOptions<unknown>) {
  const { boundary, counted } = boundaryWith(options);
  const injection = boundary.inject(from);
  return {
    fields: injection && Object.fromEntries(injection.fields),
    injections: counted.of("injections"),
    faults: counted.of("faults"),
  };
}

/** Something else goes on in the process: a span and a baggage are active. */
function ambient(kind = SpanKind.INTERNAL, parent = ROOT_CONTEXT): { active: Context; span: Span } {
  const span = trace.getTracer("somebody else").startSpan("ambient", { kind }, parent);
  const baggage = propagation.createBaggage({ ambient: { value: "1" } });
  return { span, active: propagation.setBaggage(trace.setSpan(parent, span), baggage) };
}

describe("a message with a sender", () => {
  test("is continued: its parent, its baggage, its tracestate", () => {
    const { arrival, extractions } = receive(ALL);
    expect(trace.getSpanContext(arrival.parent)).toMatchObject(REMOTE);
    expect(arrival.sender?.traceState?.serialize()).toBe("rojo=1");
    expect(entriesOf(arrival.parent)).toEqual([
      ["tenant.id", "acme"],
      ["user.id", "7"],
    ]);
    expect(arrival).toMatchObject({ attributes: undefined, existing: undefined });
    expect(extractions).toEqual([{ boundary: "test", outcome: "continued" }]);
  });

  test("is linked as well in messaging, and only there", () => {
    expect(receive(ALL).arrival.links).toEqual([{ context: expect.objectContaining(REMOTE) }]);
    const { boundary } = boundaryWith({}, { ...SETTINGS, messaging: false });
    expect(boundary.receive(ALL, hygienic, undefined, ROOT_CONTEXT).links).toEqual([]);
  });

  test("is continued without its tracestate when that is malformed, which is counted", () => {
    const { arrival, extractions } = receive({ ...ALL, tracestate: "rojo" });
    expect(arrival.sender).toMatchObject(REMOTE);
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
    expect(arrival).toMatchObject({ sender: undefined, links: [], existing: undefined });

    boundary
      .open(
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
    expect(arrival.sender?.spanId).toBe(SPAN_ID);
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
    expect(faults).toEqual([{ boundary: "test", place: "relation" }]);
    expect(warnings).toEqual([expect.stringContaining("traceferry test: relation: ")]);
  });

  test("link and none begin a trace that knows nothing of the sender's", () => {
    using spans = recordSpans();
    for (const relation of ["link", "none"] as const) {
      const { arrival, boundary } = receive(
        { ...ALL, traceparent: TRACEPARENT.replace("-01", "-03") },
        { relation },
      );
      const open = boundary.open(
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

describe("baggage comes in", () => {
  const acme: [string, string] = ["tenant.id", "acme"];
  const user: [string, string] = ["user.id", "7"];

  test.each<[string, Relation, TracingOptions["baggage"], [string, string][]]>([
    ["all with child", "child", true, [acme, user]],
    ["none with child when none may", "child", false, []],
    ["by name with child", "child", ["user.id", "other"], [user]],
    ["none with link", "link", true, []],
    ["none with link when none may", "link", false, []],
    ["by name with link", "link", ["tenant.id"], [acme]],
    ["none with none", "none", true, []],
    ["by name with none", "none", ["tenant.id"], [acme]],
    ["none by names it does not have", "link", ["other"], []],
    ["none by an empty list", "child", [], []],
  ])("%s", (_, relation, baggage = true, expected) => {
    for (const option of [relation, () => relation]) {
      expect(entriesOf(receive(ALL, { relation: option, baggage }).arrival.parent)).toEqual(
        expected,
      );
      // The same without a sender: an edge is not crossed by leaving the traceparent out, or breaking it.
      for (const traceparent of [undefined, "x"]) {
        const { arrival } = receive({ ...ALL, traceparent }, { relation: option, baggage });
        expect(entriesOf(arrival.parent)).toEqual(expected);
      }
    }
  });

  test("in the sender's order, properties included", () => {
    const { arrival } = receive({ baggage: "a=1;p,b=2,c=3;q=4" }, { baggage: ["c", "a"] });
    expect(sent(arrival.parent).fields).toEqual({ baggage: "a=1;p,c=3;q=4" });
  });
});

describe("baggage goes out", () => {
  test.each<[string, TracingOptions["baggage"], string | undefined]>([
    ["all", true, ALL.baggage],
    ["none", false, undefined],
    ["by name", ["user.id"], "user.id=7"],
    ["not by a name that is not there", ["other"], undefined],
  ])("%s", (_, baggage = true, expected) => {
    expect(sent(receive(ALL).arrival.parent, { baggage }).fields?.baggage).toBe(expected);
  });

  test("within the budget, and what was cut is counted", () => {
    const { fields, injections } = sent(receive(ALL).arrival.parent, { maxBytes: 105 });
    expect(fields).toEqual({ ...ALL, baggage: "tenant.id=acme" });
    expect(injections).toEqual([{ boundary: "test", outcome: "trimmed" }]);
  });

  test("within the adapter's own budget when none is given", () => {
    const { boundary } = boundaryWith({}, { ...SETTINGS, maxBytes: 66 });
    expect([...(boundary.inject(receive(ALL).arrival.parent)?.fields.keys() ?? [])]).toEqual([
      "traceparent",
    ]);
  });
});

describe("a span of somebody else", () => {
  const fromSender = () => stockPropagator().extract(ROOT_CONTEXT, ALL, hygienic);

  test.each([SpanKind.SERVER, SpanKind.CONSUMER])(
    "that was made for this very message is found, with kind %s: run where it is active",
    (kind) => {
      using spans = recordSpans();
      const { active, span } = ambient(kind, fromSender());
      const { arrival, extractions } = receive(ALL, {}, active);
      expect(arrival.existing).toBe(span);
      expect(arrival).toMatchObject({ links: [], attributes: undefined });
      expect(arrival.parent).toBe(active);
      expect(extractions).toEqual([{ boundary: "test", outcome: "continued" }]);
      expect(spans.open).toEqual(["ambient"]);
    },
  );

  test("for this very message continues it, whatever the relation says", () => {
    using _spans = recordSpans();
    const { active } = ambient(SpanKind.SERVER, fromSender());
    const { extractions } = receive(ALL, { relation: "link" }, active);
    expect(extractions).toEqual([{ boundary: "test", outcome: "continued" }]);
  });

  test.each<[string, () => Context]>([
    ["of another kind", () => ambient(SpanKind.INTERNAL, fromSender()).active],
    ["of an outgoing kind", () => ambient(SpanKind.PRODUCER, fromSender()).active],
    ["with no parent", () => ambient(SpanKind.SERVER).active],
    [
      "with another parent in the same trace",
      () =>
        ambient(
          SpanKind.SERVER,
          trace.setSpanContext(ROOT_CONTEXT, { ...REMOTE, spanId: "00f067aa0ba902b7" }),
        ).active,
    ],
    [
      "with that parent id in another trace",
      () =>
        ambient(
          SpanKind.SERVER,
          trace.setSpanContext(ROOT_CONTEXT, {
            ...REMOTE,
            traceId: TRACE_ID.replace("0af", "1af"),
          }),
        ).active,
    ],
    [
      "that is not recorded",
      () =>
        ambient(SpanKind.SERVER, trace.setSpanContext(ROOT_CONTEXT, { ...REMOTE, traceFlags: 0 }))
          .active,
    ],
    [
      "that has ended",
      () => {
        const { active, span } = ambient(SpanKind.SERVER, fromSender());
        span.end();
        return active;
      },
    ],
    ["that is the sender's own context", fromSender],
  ])("%s is not mistaken for one", (_, active) => {
    using _spans = recordSpans();
    const { arrival } = receive(ALL, {}, active());
    expect(arrival.existing).toBeUndefined();
    expect(trace.getSpanContext(arrival.parent)?.spanId).toBe(SPAN_ID);
    expect(entriesOf(arrival.parent).map(([name]) => name)).not.toContain("ambient");
  });

  test("that throws is not one, costs the sender nothing, and is a fault", () => {
    const broken: Span = { ...trace.wrapSpanContext(REMOTE), isRecording: boom, spanContext: boom };
    const { arrival, faults } = receive(ALL, {}, trace.setSpan(ROOT_CONTEXT, broken));
    expect(arrival.existing).toBeUndefined();
    expect(arrival.sender).toMatchObject(REMOTE);
    expect(faults).toEqual([{ boundary: "test", place: "active span" }]);
  });
});

describe("a fault costs no message:", () => {
  const foreign = (parts: Partial<TextMapPropagator>): TextMapPropagator => ({
    inject: (...args) => strict.inject(...args),
    extract: (...args) => strict.extract(...args),
    fields: () => strict.fields(),
    ...parts,
  });
  const throwing: Baggage = {
    getEntry: boom,
    getAllEntries: boom,
    setEntry: boom,
    removeEntry: boom,
    removeEntries: boom,
    clear: boom,
  };

  test("a propagator that throws when it extracts", () => {
    const { arrival, extractions, faults } = receive(ALL, {
      propagator: foreign({ extract: boom }),
    });
    expect(arrival).toMatchObject({ sender: undefined, links: [], parent: ROOT_CONTEXT });
    expect(arrival.attributes).toEqual({
      "traceferry.extraction": "invalid",
      "traceferry.extraction.reason": "failed",
    });
    expect(extractions).toEqual([{ boundary: "test", outcome: "invalid", reason: "failed" }]);
    expect(faults).toEqual([{ boundary: "test", place: "extract" }]);
  });

  test("a propagator that gives no context", () => {
    const { extractions } = receive(ALL, {
      propagator: foreign({ extract: () => Object(undefined).nothing }),
    });
    expect(extractions).toEqual([{ boundary: "test", outcome: "invalid", reason: "failed" }]);
  });

  test("a propagator that gives a baggage that throws", () => {
    const propagator = foreign({
      extract: (base) => propagation.setBaggage(trace.setSpanContext(base, REMOTE), throwing),
    });
    const { extractions } = receive(ALL, { propagator, baggage: ["a"] });
    expect(extractions).toEqual([{ boundary: "test", outcome: "invalid", reason: "failed" }]);
  });

  test("a carrier that throws", () => {
    const { boundary, counted } = boundaryWith();
    const getter = new HygienicGetter<unknown>({ read: boom, keys: boom });
    const arrival = boundary.receive({}, getter, undefined, ROOT_CONTEXT);
    expect(arrival.attributes).toEqual({
      "traceferry.extraction": "invalid",
      "traceferry.extraction.reason": "failed",
    });
    expect(counted.of("faults")).toEqual([{ boundary: "test", place: "extract" }]);
  });

  test.each<[string, TracingOptions]>([
    ["a propagator that throws when it injects", { propagator: foreign({ inject: boom }) }],
    [
      "a propagator that throws when asked for its fields",
      { propagator: foreign({ fields: boom }) },
    ],
  ])("%s", (_, options) => {
    const { fields, injections, faults } = sent(receive(ALL).arrival.parent, options);
    expect({ fields, injections, faults }).toEqual({
      fields: undefined,
      injections: [{ boundary: "test", outcome: "empty" }],
      faults: [{ boundary: "test", place: "inject" }],
    });
  });

  test("a baggage that throws", () => {
    const from = propagation.setBaggage(trace.setSpanContext(ROOT_CONTEXT, REMOTE), throwing);
    expect(sent(from).fields).toEqual({ traceparent: TRACEPARENT });
    expect(sent(from, { baggage: ["a"] }).fields).toBeUndefined();
  });

  test("a meter that throws", () => {
    const { arrival, boundary } = receive(ALL, { meterProvider: { getMeter: boom } });
    expect(boundary.inject(arrival.parent)?.fields.get("traceparent")).toBe(TRACEPARENT);
  });

  test("a tracer that throws", () => {
    const { arrival, boundary } = receive(ALL, { tracerProvider: { getTracer: boom } });
    const plan = { name: "x", kind: SpanKind.CONSUMER, parent: arrival.parent };
    const open = boundary.open(plan, arrival);
    const traceparent = withSpan(open, () =>
      boundary.inject(open.context)?.fields.get("traceparent"),
    );
    expect(traceparent).toBe(TRACEPARENT);
  });
});

describe("where tracing is suppressed", () => {
  test("nothing goes out, of any propagator", () => {
    const eager: TextMapPropagator = {
      inject: (_, carrier, setter) => setter.set(carrier, "b3", "1"),
      extract: (from) => from,
      fields: () => ["b3"],
    };
    const from = suppressTracing(receive(ALL).arrival.parent);
    for (const propagator of [eager, strict, stockPropagator()]) {
      expect(sent(from, { propagator })).toEqual({
        fields: undefined,
        injections: [{ boundary: "test", outcome: "empty" }],
        faults: [],
      });
    }
  });
});

describe("without a propagator", () => {
  const globally = { propagator: propagation };

  test("nothing goes out, and the cure is said exactly once", () => {
    using spans = recordSpans();
    const { boundary, counted } = boundaryWith(globally);
    spans.tracer.startActiveSpan("sending", (span) => {
      for (let i = 0; i < 3; i++) expect(boundary.inject()).toBeUndefined();
      span.end();
    });
    expect(spans.warnings).toEqual([
      "traceferry test: inject: no propagator is registered, so no context is ever sent; call propagation.setGlobalPropagator(w3cPropagator()) at start-up",
    ]);
    expect(counted.of("injections")).toEqual(Array(3).fill({ boundary: "test", outcome: "empty" }));
  });

  test("nothing is said where there is nothing to send", () => {
    using spans = recordSpans();
    boundaryWith(globally).boundary.inject(ROOT_CONTEXT);
    boundaryWith(globally).boundary.receive(ALL, hygienic, undefined);
    expect(spans.warnings).toEqual([]);
  });

  test("nothing is said to who gave one that writes nothing", () => {
    using spans = recordSpans();
    const none: TextMapPropagator = { inject() {}, extract: (from) => from, fields: () => [] };
    boundaryWith({ propagator: none }).boundary.inject(trace.setSpanContext(ROOT_CONTEXT, REMOTE));
    expect(spans.warnings).toEqual([]);
  });

  test("one that is registered later is used", () => {
    const { boundary } = boundaryWith(globally);
    const from = trace.setSpanContext(ROOT_CONTEXT, REMOTE);
    expect(boundary.inject(from)).toBeUndefined();
    using _spans = recordSpans({ propagator: strict });
    expect(boundary.inject(from)?.fields.get("traceparent")).toBe(TRACEPARENT);
    expect(boundary.receive(ALL, hygienic, undefined).sender).toMatchObject(REMOTE);
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
      expect(boundary.receive(ALL, hygienic, undefined).existing).toBe(span);
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
    boundary.open(plan).end();
    for (let i = 0; i < 2; i++) {
      using spans = recordSpans();
      boundary.open(plan).end();
      expect(spans.ended.map((span) => span.instrumentationScope)).toEqual([
        expect.objectContaining({ name: "@traceferry/test", version: "1.2.3" }),
      ]);
    }
  });

  test("by the provider that is given", () => {
    using spans = recordSpans({ provider: false });
    const { boundary } = boundaryWith({ tracerProvider: spans.provider });
    boundary.open({ name: "x", kind: SpanKind.INTERNAL, parent: ROOT_CONTEXT }).end();
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
      boundary.open({ name: "x", kind: SpanKind.INTERNAL, parent: ROOT_CONTEXT });
    expect(asked).toBe(1);
  });
});

test("properties that an application set are made fit to be sent, by the stock propagator too", () => {
  const baggage = propagation.createBaggage({
    a: { value: "1", metadata: baggageEntryMetadataFromString("p=x\r\ny\tz") },
  });
  const from = propagation.setBaggage(ROOT_CONTEXT, baggage);
  expect(sent(from, { propagator: stockPropagator() }).fields).toEqual({
    baggage: "a=1;p=x%0D%0Ay z",
  });
  expect(sent(from).fields).toEqual({ baggage: "a=1;p=x%0D%0Ay%09z" });
});
