import { type Context, ROOT_CONTEXT, type Span, SpanKind, trace } from "@opentelemetry/api";
import { describe, expect, test } from "vitest";
import {
  baggageEntries,
  REMOTE,
  recordSpans,
  SPAN_ID,
  sanitizingGetter,
  stockPropagator,
  TRACE_ID,
} from "./fixtures.test-support.js";
import { isSpanForMessage } from "./instrumenter.js";
import { ambient, boom, extractFrom, HEADERS } from "./instrumenter.test-support.js";

describe("a span of another instrumentation", () => {
  const fromSender = () => stockPropagator().extract(ROOT_CONTEXT, HEADERS, sanitizingGetter);

  test.each([SpanKind.SERVER, SpanKind.CONSUMER])(
    "that was made for this very message is found, with kind %s, and its context stays active",
    (kind) => {
      using spans = recordSpans();
      const { active, span } = ambient(kind, fromSender());
      const { extraction, extractions } = extractFrom(HEADERS, {}, active);
      expect(extraction.spanInProgress).toBe(span);
      expect(extraction).toMatchObject({ links: [], attributes: undefined });
      expect(extraction.parent).toBe(active);
      expect(extractions).toEqual([{ boundary: "test", outcome: "continued" }]);
      expect(spans.open).toEqual(["ambient"]);
    },
  );

  test("for this very message continues its trace, whatever the relation is", () => {
    using _spans = recordSpans();
    const { active } = ambient(SpanKind.SERVER, fromSender());
    const { extractions } = extractFrom(HEADERS, { relation: "link" }, active);
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
    const { extraction } = extractFrom(HEADERS, {}, active());
    expect(extraction.spanInProgress).toBeUndefined();
    expect(trace.getSpanContext(extraction.parent)?.spanId).toBe(SPAN_ID);
    expect(baggageEntries(extraction.parent).map(([name]) => name)).not.toContain("ambient");
  });

  test("that throws is not mistaken for one, does not cost the sender, and is reported as a fault", () => {
    const broken: Span = { ...trace.wrapSpanContext(REMOTE), isRecording: boom, spanContext: boom };
    const { extraction, faults } = extractFrom(HEADERS, {}, trace.setSpan(ROOT_CONTEXT, broken));
    expect(extraction.spanInProgress).toBeUndefined();
    expect(extraction.remoteParent).toMatchObject(REMOTE);
    expect(faults).toEqual([{ boundary: "test", operation: "active span" }]);
  });
});

/** A live span of another library: it has what the API asks for, and any other properties. */
function foreign(more: object): Span {
  return Object.assign(trace.wrapSpanContext(REMOTE), { isRecording: () => true }, more);
}

test.each<[string, object]>([
  ["a server's", { kind: SpanKind.SERVER }],
  ["a consumer's", { kind: SpanKind.CONSUMER }],
])("a live span of another library, %s, was made for the message of its parent", (_, kind) => {
  expect(isSpanForMessage(foreign({ ...kind, parentSpanContext: { ...REMOTE } }), REMOTE)).toBe(
    true,
  );
});

test.each<[string, object]>([
  ["knows no kind", { parentSpanContext: REMOTE }],
  ["has a kind of its own", { kind: "server", parentSpanContext: REMOTE }],
  ["knows no parent", { kind: SpanKind.SERVER }],
  ["has nothing for a parent", { kind: SpanKind.SERVER, parentSpanContext: null }],
  ["has a text for a parent", { kind: SpanKind.SERVER, parentSpanContext: REMOTE.spanId }],
  ["has a parent without an id", { kind: SpanKind.SERVER, parentSpanContext: {} }],
])(
  "a live span of another library that %s was made for no message, and causes no fault",
  (_, more) => {
    expect(isSpanForMessage(foreign(more), REMOTE)).toBe(false);
  },
);
