import {
  type Baggage,
  type BaggageEntry,
  baggageEntryMetadataFromString,
} from "@opentelemetry/api";
import { decodePercent, encodeOutside } from "./percent.js";
import { characterSet, isMadeOf, trimBlanks } from "./scan.js";

// W3C Baggage, "Limits": baggage up to these must be passed on. Go and Java keep no more.
const MAX_MEMBERS = 64;
const MAX_BYTES = 8192;

/** RFC 7230 token. */
const TOKEN = characterSet(/[!#$%&'*+\-.^_`|~0-9A-Za-z]/);
/** W3C Baggage, "baggage-octet". */
const OCTET = characterSet(/[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]/);
/** The octets that need no encoding in a value: not the percent sign, nor the plus, which Python reads as a blank. */
const PLAIN = characterSet(/[\x21\x23\x24\x26-\x2a\x2d-\x3a\x3c-\x5b\x5d-\x7e]/);

/**
 * Parses one combined `baggage` field. Malformed members are dropped one by one, the last of a repeated name
 * wins, and whole members are dropped from the right beyond 64 names or 8192 bytes. Returns `undefined` when no
 * member is left.
 */
export function parseBaggage(text: string): StrictBaggage | undefined {
  const entries = new Map<string, BaggageEntry>();
  let unchanged = true;
  let from = 0;
  while (from <= text.length && entries.size < MAX_MEMBERS) {
    let to = text.indexOf(",", from);
    if (to < 0) to = text.length;
    if (to > MAX_BYTES) break;
    if (!addMember(entries, text.slice(from, to))) unchanged = false;
    from = to + 1;
  }
  if (entries.size === 0) return undefined;
  return new StrictBaggage(entries, unchanged && from > text.length ? text : undefined);
}

/** Adds a member, unless it is malformed. Returns true when its name is new and its text is what we would write. */
function addMember(entries: Map<string, BaggageEntry>, member: string): boolean {
  const semicolon = member.indexOf(";");
  const end = semicolon < 0 ? member.length : semicolon;
  const equals = member.indexOf("=");
  if (equals < 0) return false;
  const key = trimBlanks(member, 0, equals);
  if (!isToken(key)) return false;
  const encoded = trimBlanks(member, equals + 1, end);
  const value = decodePercent(encoded);
  const metadata = member.slice(end + 1);
  const properties = normalizeProperties(metadata);
  const isNew = !entries.delete(key); // the last one wins, its position included
  entries.set(
    key,
    properties === "" ? { value } : { value, metadata: baggageEntryMetadataFromString(properties) },
  );
  const trimmed = key.length !== equals || encoded.length !== end - equals - 1;
  const asWritten = semicolon < 0 || (properties === metadata && metadata !== "");
  return isNew && !trimmed && asWritten && isMadeOf(PLAIN, encoded);
}

/**
 * Baggage that was parsed from a field: immutable, and sent on unchanged where nothing had to be corrected. The
 * API's own baggage is made from a plain object, which is slow.
 */
export class StrictBaggage implements Baggage {
  readonly #entries: ReadonlyMap<string, BaggageEntry>;
  #text: string | undefined;

  /** @param text - the field to send, where it is known: that which was parsed */
  constructor(entries: ReadonlyMap<string, BaggageEntry>, text?: string) {
    this.#entries = entries;
    this.#text = text;
  }

  getEntry(key: string): BaggageEntry | undefined {
    const entry = this.#entries.get(key);
    return entry && { ...entry };
  }

  getAllEntries(): [string, BaggageEntry][] {
    return Array.from(this.#entries, ([key, entry]) => [key, { ...entry }]);
  }

  setEntry(key: string, entry: BaggageEntry): StrictBaggage {
    return new StrictBaggage(new Map(this.#entries).set(key, { ...entry }));
  }

  removeEntry(key: string): StrictBaggage {
    return this.removeEntries(key);
  }

  removeEntries(...keys: string[]): StrictBaggage {
    const kept = new Map(this.#entries);
    for (const key of keys) kept.delete(key);
    return new StrictBaggage(kept);
  }

  clear(): StrictBaggage {
    return new StrictBaggage(new Map());
  }

  /** Returns the field to send. It is made once: one request may send its baggage many times. */
  serialize(onInvalidKey: (name: unknown) => void): string {
    this.#text ??= serializeEntries(this.#entries, onInvalidKey);
    return this.#text;
  }
}

/**
 * Serializes baggage to one `baggage` field: UTF-8, percent-encoded where the grammar asks for it, whole members
 * only, at most 64 of them and 8192 bytes. Empty when there is nothing to send.
 *
 * @param onInvalidKey - called with each name that is no RFC 7230 token: such an entry cannot be sent
 */
export function serializeBaggage(baggage: Baggage, onInvalidKey: (name: unknown) => void): string {
  return baggage instanceof StrictBaggage
    ? baggage.serialize(onInvalidKey)
    : serializeEntries(baggage.getAllEntries(), onInvalidKey);
}

function serializeEntries(
  entries: Iterable<[string, BaggageEntry]>,
  onInvalidKey: (name: unknown) => void,
): string {
  let text = "";
  let members = 0;
  for (const [key, entry] of entries) {
    if (!isToken(key)) {
      onInvalidKey(key);
      continue;
    }
    const properties = normalizeProperties(entry.metadata?.toString() ?? "");
    const member = `${key}=${encodeOutside(PLAIN, String(entry.value))}${properties === "" ? "" : `;${properties}`}`;
    const length = text.length + member.length + (text === "" ? 0 : 1);
    if (length > MAX_BYTES || members === MAX_MEMBERS) break;
    text = text === "" ? member : `${text},${member}`;
    members++;
  }
  return text;
}

function isToken(key: unknown): boolean {
  return typeof key === "string" && key !== "" && isMadeOf(TOKEN, key);
}

/** Normalizes properties: trims blanks, encodes bytes outside the grammar, drops those without a valid name. */
function normalizeProperties(text: string): string {
  if (text === "") return "";
  const kept: string[] = [];
  for (const property of text.split(";")) {
    const equals = property.indexOf("=");
    const key = trimBlanks(property, 0, equals < 0 ? property.length : equals);
    if (!isToken(key)) continue;
    if (equals < 0) kept.push(key);
    else kept.push(`${key}=${encodeOutside(OCTET, trimBlanks(property, equals + 1))}`);
  }
  return kept.join(";");
}
