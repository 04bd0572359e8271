import { isSpanContextValid, type SpanContext } from "@opentelemetry/api";

/** What is wrong with a `traceparent`, in few words: safe as a metric attribute. */
export type TraceparentFault = "repeated" | "too_long" | "format" | "version" | "zero_id";

export interface Traceparent {
  readonly traceId: string;
  readonly spanId: string;
  /** Sampled (1) and random (2) only; the reserved bits are masked. */
  readonly flags: number;
}

const SAMPLED = 0x01;
/** W3C Trace Context Level 2: the right-most seven bytes of the trace id are random. */
export const RANDOM = 0x02;
// The bits that Level 2 defines. Go peers start a new trace when they meet any other.
const DEFINED = SAMPLED | RANDOM;

// The specification asks to bound the header and names no number; future versions may be longer than 55.
const MAX_LENGTH = 512;
const LENGTH = 55;
const ZERO = 48;
const DASH = 45;

/**
 * Reads one `traceparent` by W3C Trace Context Level 2, the sections "traceparent Header Field Values"
 * and "Versioning of traceparent". Blanks and tabs around it are allowed, nothing else is.
 */
export function parseTraceparent(text: string): Traceparent | TraceparentFault {
  let from = 0;
  let to = text.length;
  if (to > MAX_LENGTH) return "too_long";
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  if (to - from < LENGTH) return "format";

  if (
    text.charCodeAt(from + 2) !== DASH ||
    text.charCodeAt(from + 35) !== DASH ||
    text.charCodeAt(from + 52) !== DASH ||
    !isHex(text, from, from + 2) ||
    !isHex(text, from + 3, from + 35) ||
    !isHex(text, from + 36, from + 52) ||
    !isHex(text, from + 53, from + 55)
  ) {
    return "format";
  }
  const extra = to - from > LENGTH;
  if (text.charCodeAt(from) === ZERO && text.charCodeAt(from + 1) === ZERO) {
    if (extra) return "format";
  } else {
    if (text.startsWith("ff", from)) return "version";
    // A future version may go on behind the flags, but only after a dash.
    if (extra && !isFutureTail(text, from + LENGTH, to)) return "format";
  }
  if (isZero(text, from + 3, from + 35) || isZero(text, from + 36, from + 52)) return "zero_id";
  return {
    traceId: text.slice(from + 3, from + 35),
    spanId: text.slice(from + 36, from + 52),
    flags: Number.parseInt(text.slice(from + 53, from + 55), 16) & DEFINED,
  };
}

/** Writes version 00, or gives `undefined` for a span context that names no span. */
export function formatTraceparent(
  { traceId, spanId, traceFlags }: SpanContext,
  random: number,
): string | undefined {
  if (!isSpanContextValid({ traceId, spanId, traceFlags })) return undefined;
  return `00-${traceId}-${spanId}-0${(traceFlags & SAMPLED) | (random & RANDOM)}`;
}

/** SP and HTAB: optional white space, RFC 9110 section 5.6.3. Not `trim()`, which also eats newlines and NBSP. */
export function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}

function isHex(text: string, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    const code = text.charCodeAt(i);
    if (!((code >= 48 && code <= 57) || (code >= 97 && code <= 102))) return false;
  }
  return true;
}

function isZero(text: string, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (text.charCodeAt(i) !== ZERO) return false;
  return true;
}

function isFutureTail(text: string, from: number, to: number): boolean {
  if (text.charCodeAt(from) !== DASH) return false;
  for (let i = from; i < to; i++) {
    const code = text.charCodeAt(i);
    if (code < 32 || code > 126) return false;
  }
  return true;
}
