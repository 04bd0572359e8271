import type { TextMapGetter } from "@opentelemetry/api";
import {
  characterSet,
  encodeOutside,
  headerText,
  isMadeOf,
  isRepeated,
  trimBlanks,
} from "./w3c/index.js";

/** Reads an adapter's transport headers. The values come from strangers: any type, any size. */
export interface CarrierReader<Carrier> {
  /** Returns every value under this lower-case key, sent in any letter case: text, bytes, or a list of these. */
  read(carrier: Carrier, key: string): unknown;
  /** Returns the keys that are present. Only propagators that search for their fields ask for them. */
  keys(carrier: Carrier): string[];
}

// In characters: more than the specification of any field allows (baggage: 8192), and still quick to scan.
const MAX_LENGTH = 16_384;
// Every transport accepts printable ASCII, grpc-node included. Tabs may stand around the parts of a field.
const PRINTABLE = characterSet(/[\x20-\x7e]/);
const PRINTABLE_OR_TAB = characterSet(/[\t\x20-\x7e]/);

/**
 * Sanitizes what any propagator reads from a carrier, so that no header can make it throw, or pass through it
 * and make the next hop throw. Each field is given as one printable ASCII text of at most 16 KiB: bytes are
 * decoded, list fields joined, control characters encoded or refused, and a repeated `traceparent` is refused.
 */
export class SanitizingGetter<Carrier> implements TextMapGetter<Carrier> {
  readonly #reader: CarrierReader<Carrier>;
  /** True when the carrier last asked for its `tracestate` had one. */
  sawTracestate = false;

  /** @param reader - reads the headers of the transport */
  constructor(reader: CarrierReader<Carrier>) {
    this.#reader = reader;
  }

  /** Returns the sanitized value, or `undefined` where there is none that could be sent on. */
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
    // Senders write `a=é` into baggage although it is not allowed; every reader understands the percent-encoded form.
    return encodeOutside(
      PRINTABLE_OR_TAB,
      text.length > MAX_LENGTH ? truncateToWholeMembers(text) : text,
    );
  }

  /** Returns the value as it was sent. */
  raw(carrier: Carrier, key: string): unknown {
    return this.#reader.read(carrier, key);
  }

  /** Returns the keys of the carrier. */
  keys(carrier: Carrier): string[] {
    return this.#reader.keys(carrier);
  }
}

// The grammars of traceparent and tracestate are ASCII: encoding other characters would make a broken field valid.
function rejectUnprintable(text: string | undefined): string | undefined {
  const isAccepted =
    text !== undefined && text.length <= MAX_LENGTH && isMadeOf(PRINTABLE_OR_TAB, text);
  return isAccepted ? text : undefined;
}

// A tracestate of blanks and commas alone is legal, and empty.
function hasMembers(text: string): boolean {
  return !isMadeOf(SEPARATORS, text);
}
const SEPARATORS = characterSet(/[\t ,]/);

function truncateToWholeMembers(text: string): string {
  return text.slice(0, Math.max(0, text.lastIndexOf(",", MAX_LENGTH)));
}

/**
 * Makes a value that every transport accepts: printable ASCII without blanks around it. Transports throw at
 * control characters and lose values with blanks around them; grpc-node does both, and throws at tabs too.
 */
export function sanitizeValue(value: string): string {
  const text = isMadeOf(PRINTABLE, value)
    ? value
    : encodeOutside(PRINTABLE, value.replaceAll("\t", " "));
  return trimBlanks(text);
}
