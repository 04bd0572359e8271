import type { TextMapGetter } from "@opentelemetry/api";
import {
  characterSet,
  encodeOutside,
  headerText,
  isMadeOf,
  isRepeated,
  trimBlanks,
} from "./w3c/index.js";

/** How an adapter reads its transport's headers. What comes back is a stranger's: any type, any size. */
export interface CarrierReader<Carrier> {
  /** Everything under this lower-case key, in whatever letter case it was sent: text, bytes, or a list of these. */
  read(carrier: Carrier, key: string): unknown;
  /** The keys that are there. Only propagators that search for their fields ask for it. */
  keys(carrier: Carrier): string[];
}

// More than any field may hold by its specification (baggage: 8192), less than what would hurt to scan.
const MAX_LENGTH = 16_384;
// What every transport takes, grpc-node included, and the tab, which may stand around the parts of a field.
const PRINTABLE = characterSet(/[\x20-\x7e]/);
const PRINTABLE_OR_TAB = characterSet(/[\t\x20-\x7e]/);

/**
 * Stands between a carrier and any propagator, the stock ones included, so that no header can make one of
 * them throw or hand on what would make the next hop throw. Each field comes out as one printable ASCII text:
 * bytes decoded, list fields joined, a repeated `traceparent` refused, control characters encoded or refused,
 * and no longer than 16 KiB.
 */
export class SanitizingGetter<Carrier> implements TextMapGetter<Carrier> {
  readonly #reader: CarrierReader<Carrier>;
  /** Whether the last carrier that was asked for a `tracestate` had one. */
  sawTracestate = false;

  constructor(reader: CarrierReader<Carrier>) {
    this.#reader = reader;
  }

  get(carrier: Carrier, key: string): string | undefined {
    const name = key.toLowerCase();
    const value = this.#reader.read(carrier, name);
    if (name === "traceparent")
      return isRepeated(value) ? undefined : rejectUnprintable(headerText(value));
    const text = headerText(value);
    if (name === "tracestate") {
      this.sawTracestate = text !== undefined && hasMembers(text);
      return rejectUnprintable(text);
    }
    if (text === undefined) return undefined;
    // `a=é` is not allowed in baggage and yet is sent; its percent-encoded form means the same to everybody.
    return encodeOutside(
      PRINTABLE_OR_TAB,
      text.length > MAX_LENGTH ? truncateToWholeMembers(text) : text,
    );
  }

  /** The value as the stranger wrote it. */
  raw(carrier: Carrier, key: string): unknown {
    return this.#reader.read(carrier, key);
  }

  keys(carrier: Carrier): string[] {
    return this.#reader.keys(carrier);
  }
}

// Both grammars are ASCII: encoding what is not would turn a broken field into a valid one.
function rejectUnprintable(text: string | undefined): string | undefined {
  const isAccepted =
    text !== undefined && text.length <= MAX_LENGTH && isMadeOf(PRINTABLE_OR_TAB, text);
  return isAccepted ? text : undefined;
}

// Blanks and commas alone are a legal way to say nothing.
function hasMembers(text: string): boolean {
  return !isMadeOf(SEPARATORS, text);
}
const SEPARATORS = characterSet(/[\t ,]/);

function truncateToWholeMembers(text: string): string {
  return text.slice(0, Math.max(0, text.lastIndexOf(",", MAX_LENGTH)));
}

/**
 * A value that every transport takes: printable ASCII without blanks around it. Transports throw at a control
 * character and lose a value with blanks around it: grpc-node does both, and at a tab too.
 */
export function sanitizeValue(value: string): string {
  const text = isMadeOf(PRINTABLE, value)
    ? value
    : encodeOutside(PRINTABLE, value.replaceAll("\t", " "));
  return trimBlanks(text);
}
