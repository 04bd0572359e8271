import { type Span, type SpanContext, SpanKind } from "@opentelemetry/api";

/**
 * Whether it is a live entry span whose parent is the sender: somebody else made it for this message.
 *
 * @throws what somebody else's span throws.
 */
export function isSpanForMessage(span: Span, sender: SpanContext): boolean {
  if (!span.isRecording()) return false;
  // The SDK's own fields, of both lines; the API has no way to ask for a kind or a parent.
  const kind: unknown = Reflect.get(span, "kind");
  if (kind !== SpanKind.SERVER && kind !== SpanKind.CONSUMER) return false;
  if (span.spanContext().traceId !== sender.traceId) return false;
  const parent: unknown = Reflect.get(span, "parentSpanContext");
  return Reflect.get(Object(parent), "spanId") === sender.spanId;
}
