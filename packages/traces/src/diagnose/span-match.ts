import type { Span, SpanKind } from "../span.js";

/** What a span must be; what is left out may be anything. */
export interface SpanMatch {
  readonly service?: string;
  readonly name?: string;
  readonly kind?: SpanKind;
}

/** Whether the span is what was described. */
export function isMatch(span: Span, match: SpanMatch): boolean {
  return (
    (match.service === undefined || span.service === match.service) &&
    (match.name === undefined || span.name === match.name) &&
    (match.kind === undefined || span.kind === match.kind)
  );
}
