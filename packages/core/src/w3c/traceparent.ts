import type { SpanContext } from "@opentelemetry/api";
import { characterSet, isBlank, isMadeOf } from "./scan.js";

/** What is wrong with a `traceparent`, in few words: safe as a metric attribute. */
export type InvalidTraceparentReason = "repeated" | "too_long" | "format" | "version" | "zero_id";

export interface Traceparent {
  readonly traceId: string;
  readonly spanId: string;
  /** Sampled (1) and random (2) only; the reserved bits are masked. */
  readonly flags: number;
}

const SAMPLED_FLAG = 0x01;
/** W3C Trace Context Level 2: the right-most seven bytes of the trace id are random. */
export const RANDOM_FLAG = 0x02;
// The bits that Level 2 defines. Go peers start a new trace when they meet any other.
const DEFINED_FLAGS = SAMPLED_FLAG | RANDOM_FLAG;

// The specification asks to bound the header and names no number; future versions may be longer than 55.
const MAX_LENGTH = 512;
const LENGTH = 55;
const DASH = 45;

const HEX = characterSet(/[0-9a-f]/);
const ZERO = characterSet(/0/);
const PRINTABLE = characterSet(/[\x20-\x7e]/);

/**
 * Reads one `traceparent` by W3C Trace Context Level 2, the sections "traceparent Header Field Values"
 * and "Versioning of traceparent". Blanks and tabs around it are allowed, nothing else is.
 */
export function parseTraceparent(text: string): Traceparent | InvalidTraceparentReason {
  let from = 0;
  let to = text.length;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  if (to - from > MAX_LENGTH) return "too_long";
  if (to - from < LENGTH) return "format";

  if (
    text.charCodeAt(from + 2) !== DASH ||
    text.charCodeAt(from + 35) !== DASH ||
    text.charCodeAt(from + 52) !== DASH ||
    !isMadeOf(HEX, text, from, from + 2) ||
    !isMadeOf(HEX, text, from + 3, from + 35) ||
    !isMadeOf(HEX, text, from + 36, from + 52) ||
    !isMadeOf(HEX, text, from + 53, from + 55)
  ) {
    return "format";
  }
  if (text.startsWith("ff", from)) return "version";
  // A future version may go on behind the flags, but only after a dash.
  if (
    to - from > LENGTH &&
    (text.startsWith("00", from) || !isFutureSuffix(text, from + LENGTH, to))
  ) {
    return "format";
  }
  if (isMadeOf(ZERO, text, from + 3, from + 35) || isMadeOf(ZERO, text, from + 36, from + 52)) {
    return "zero_id";
  }
  return {
    traceId: text.slice(from + 3, from + 35),
    spanId: text.slice(from + 36, from + 52),
    flags: Number.parseInt(text.slice(from + 53, from + 55), 16) & DEFINED_FLAGS,
  };
}

function isFutureSuffix(text: string, from: number, to: number): boolean {
  return text.charCodeAt(from) === DASH && isMadeOf(PRINTABLE, text, from, to);
}

/** Writes version 00, or gives `undefined` for a span context that names no span. */
export function formatTraceparent(span: SpanContext, random: number): string | undefined {
  const traceId = validId(span.traceId, 32);
  const spanId = validId(span.spanId, 16);
  if (traceId === undefined || spanId === undefined) return undefined;
  return `00-${traceId}-${spanId}-0${(span.traceFlags & SAMPLED_FLAG) | (random & RANDOM_FLAG)}`;
}

// The API lets upper case pass, the wire format does not.
function validId(id: unknown, length: number): string | undefined {
  if (typeof id !== "string" || id.length !== length || isMadeOf(ZERO, id)) return undefined;
  if (isMadeOf(HEX, id)) return id;
  const lower = id.toLowerCase();
  return isMadeOf(HEX, lower) ? lower : undefined;
}
