import type { TextMapGetter } from "@opentelemetry/api";
import { joinTexts, textsOf } from "./w3c/text.js";

/** How an adapter reads its transport's headers. What comes back is a stranger's: any type, any size. */
export interface CarrierReader<Carrier> {
  /** Everything under this lower-case key, in whatever letter case it was sent: text, bytes, or a list of these. */
  read(carrier: Carrier, key: string): unknown;
  /** The keys that are there. Only propagators that search for their fields ask for it. */
  keys(carrier: Carrier): string[];
}

// More than any field may hold by its specification (baggage: 8192), less than what would hurt to scan.
const MAX_LENGTH = 16_384;
// biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the purpose.
const UNPRINTABLE = /[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\x7f]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above.
const UNPRINTABLE_ALL = /[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\x7f]+/g;
const encoder = new TextEncoder();

/**
 * Stands between a carrier and any propagator, the stock ones included, so that no header can make one of
 * them throw or hand on what would make the next hop throw. Each field comes out as one printable ASCII text:
 * bytes decoded, list fields joined, a repeated `traceparent` refused, control characters encoded or refused,
 * and no longer than 16 KiB.
 */
export class HygienicGetter<Carrier> implements TextMapGetter<Carrier> {
  readonly #reader: CarrierReader<Carrier>;
  /** Whether the last carrier that was asked for a `tracestate` had one. */
  sawTracestate = false;

  constructor(reader: CarrierReader<Carrier>) {
    this.#reader = reader;
  }

  get(carrier: Carrier, key: string): string | undefined {
    const name = key.toLowerCase();
    const texts = textsOf(this.#reader.read(carrier, name));
    if (name === "traceparent") {
      return texts.length === 1 ? printable(texts[0]) : undefined;
    }
    const text = joinTexts(texts);
    if (name === "tracestate") {
      this.sawTracestate = text !== undefined && text !== "";
      return printable(text);
    }
    if (text === undefined) return undefined;
    return encodeUnprintable(text.length > MAX_LENGTH ? wholeMembers(text) : text);
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
function printable(text: string | undefined): string | undefined {
  if (text === undefined || text.length > MAX_LENGTH || UNPRINTABLE.test(text)) return undefined;
  return text;
}

function wholeMembers(text: string): string {
  return text.slice(0, Math.max(0, text.lastIndexOf(",", MAX_LENGTH)));
}

/** `a=é` is not allowed in baggage and yet is sent; its percent-encoded form means the same to everybody. */
export function encodeUnprintable(text: string): string {
  return UNPRINTABLE.test(text) ? text.replace(UNPRINTABLE_ALL, percentEncode) : text;
}

function percentEncode(text: string): string {
  let out = "";
  for (const byte of encoder.encode(text)) {
    out += `%${byte < 16 ? "0" : ""}${byte.toString(16).toUpperCase()}`;
  }
  return out;
}
