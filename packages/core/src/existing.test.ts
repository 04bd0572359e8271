import { type Span, SpanKind, trace } from "@opentelemetry/api";
import { expect, test } from "vitest";
import { isSpanForMessage } from "./existing.js";
import { REMOTE } from "./fixtures.test-support.js";

/** A live span of another library: it has what the API asks for, and whatever else its author liked. */
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
])("a live span of another library that %s was made for no message, and is no fault", (_, more) => {
  expect(isSpanForMessage(foreign(more), REMOTE)).toBe(false);
});
