import { type Span, type SpanContext, SpanKind } from "@opentelemetry/api";

/**
 * Whether it is a live entry span whose parent is the sender: somebody else made it for this message.
 *
 * @throws what somebody else's span throws.
 */
export function isMadeFor(span: Span, sender: SpanContext): boolean {
  if (!span.isRecording() || !("kind" in span)) return false;
  if (span.kind !== SpanKind.SERVER && span.kind !== SpanKind.CONSUMER) return false;
  if (span.spanContext().traceId !== sender.traceId) return false;
  // The SDK's own field, of both lines; the API has no way to ask for a parent.
  const parent: unknown = "parentSpanContext" in span ? span.parentSpanContext : undefined;
  return (
    typeof parent === "object" &&
    parent !== null &&
    "spanId" in parent &&
    parent.spanId === sender.spanId
  );
}
