import type { SpanContext } from "@opentelemetry/api";
import { characterSet, isBlank, isMadeOf } from "./scan.js";

/** Why a `traceparent` is invalid. Of low cardinality: a metric attribute. */
export type InvalidTraceparentReason = "repeated" | "too_long" | "format" | "version" | "zero_id";

/** The fields of a `traceparent`. */
export interface Traceparent {
  readonly traceId: string;
  readonly spanId: string;
  /** The flags sampled (1) and random (2); the reserved bits are masked. */
  readonly flags: number;
}

const SAMPLED_FLAG = 0x01;
/** The random-trace-id flag of W3C Trace Context Level 2: the right-most seven bytes of the trace id are random. */
export const RANDOM_FLAG = 0x02;
// The flags that Level 2 defines. Go peers start a new trace when any other is set.
const DEFINED_FLAGS = SAMPLED_FLAG | RANDOM_FLAG;

// The specification asks for a limit and names no number. Future versions may be longer than 55 characters.
const MAX_LENGTH = 512;
const LENGTH = 55;
const DASH = 45;

const HEX = characterSet(/[0-9a-f]/);
const ZERO = characterSet(/0/);
const PRINTABLE = characterSet(/[\x20-\x7e]/);

/**
 * Parses one `traceparent` by W3C Trace Context Level 2, sections "traceparent Header Field Values" and
 * "Versioning of traceparent", or returns the reason why it is invalid. Blanks and tabs around it are allowed.
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
  // A future version may have more fields, but only after a dash.
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

/**
 * Formats a `traceparent` of version 00. Returns `undefined` for an invalid span context.
 *
 * @param random - the flags to take the random one from; the sampled one is the span's
 */
export function formatTraceparent(span: SpanContext, random: number): string | undefined {
  const traceId = validId(span.traceId, 32);
  const spanId = validId(span.spanId, 16);
  if (traceId === undefined || spanId === undefined) return undefined;
  return `00-${traceId}-${spanId}-0${(span.traceFlags & SAMPLED_FLAG) | (random & RANDOM_FLAG)}`;
}

// The API allows upper-case ids, the wire format does not.
function validId(id: unknown, length: number): string | undefined {
  if (typeof id !== "string" || id.length !== length || isMadeOf(ZERO, id)) return undefined;
  if (isMadeOf(HEX, id)) return id;
  const lower = id.toLowerCase();
  return isMadeOf(HEX, lower) ? lower : undefined;
}
