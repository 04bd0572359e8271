import { isUtf8 } from "node:buffer";
import { types } from "node:util";
import { type Injection, SanitizingGetter } from "@traceferry/core";

/** One header value. Kafka knows bytes and null; clients also take text. */
export type HeaderValue = string | Uint8Array | null | undefined;

/**
 * The headers of a record in any of the forms that Node's clients use. A key may be repeated.
 *
 * - an object, a repeated key with a list: kafkajs, Confluent's KafkaJS API, NestJS
 * - a list of objects with one key each: Confluent's own API, node-rdkafka
 * - a list of pairs, or a Map, keys text or bytes: `@platformatic/kafka`
 */
export type KafkaHeaders =
  | Readonly<Record<string, HeaderValue | readonly HeaderValue[]>>
  | ReadonlyArray<Readonly<Record<string, HeaderValue>>>
  | ReadonlyArray<readonly [key: HeaderValue, value: HeaderValue]>
  | ReadonlyMap<HeaderValue, HeaderValue>;

/** Reads a propagator's fields from headers of any form. */
export const kafkaGetter = new SanitizingGetter<unknown>({ read: readHeader, keys: headerKeys });

// A quick check that chooses among several values. The propagator parses the chosen one in full.
const VALID_TRACEPARENT =
  /^[ \t]*(?!ff|00-.{52}-)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-|[ \t]*$)/;

// Values read of a repeated key: pushing a million of them in one call would overflow the stack.
const MAX_REPETITIONS = 1000;
// Longer than any field may be, so that a huge value is not decoded only to be refused afterwards.
const MAX_DECODED_BYTES = 65_536;
const MAX_QUOTED_LENGTH = 16_384;
// biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII has them.
const ASCII = /^[\x00-\x7f]*$/;
const PLAIN_PROPERTY = { enumerable: true, writable: true, configurable: true };

/**
 * Reads the text under a lower-case key, in whatever letter case the key was sent. A record is an append log:
 * of several values the last text wins, and of several traceparents the last valid one. Null, empty values and
 * bytes that are not UTF-8 are passed over.
 */
export function readHeader(headers: unknown, key: string): string | undefined {
  const values = valuesOf(headers, key);
  let lastText: string | undefined;
  for (let i = values.length - 1; i >= 0; i--) {
    const text = unquotedText(values[i]);
    if (text === undefined || text === "") continue;
    if (key !== "traceparent") return text;
    // The common case needs no regular expression: the propagator parses a single value, valid or not.
    const isSingle = values.length === 1 && !text.includes(",");
    const traceparent = isSingle ? text : lastValidTraceparent(text);
    if (traceparent !== undefined) return traceparent;
    lastText ??= text;
  }
  return lastText;
}

// NestJS joins repeated headers to "first,second".
function lastValidTraceparent(text: string): string | undefined {
  return text.split(",", MAX_REPETITIONS).findLast((part) => VALID_TRACEPARENT.test(part));
}

function valuesOf(headers: unknown, key: string): unknown[] {
  const values: unknown[] = [];
  if (hasEntries(headers)) {
    for (const entry of headers) {
      if (!Array.isArray(entry)) addOwnValues(entry, key, values);
      else if (matchesKey(entry[0], key)) values.push(entry[1]);
    }
  } else {
    addOwnValues(headers, key, values);
  }
  return values;
}

// A list of pairs, a list of objects, or a Map, which yields pairs.
function hasEntries(headers: unknown): headers is Iterable<unknown> {
  return types.isMap(headers) || Array.isArray(headers);
}

// Own keys only: kafkajs decodes into a plain object, which inherits `constructor`.
function addOwnValues(headers: unknown, key: string, values: unknown[]): void {
  if (!isHeaderObject(headers)) return;
  for (const name of Object.keys(headers)) {
    if (!matchesKey(name, key)) continue;
    const value = headers[name];
    if (Array.isArray(value)) values.push(...value.slice(-MAX_REPETITIONS));
    else values.push(value);
  }
}

function matchesKey(name: unknown, key: string): boolean {
  // The common case needs no folding.
  if (name === key) return true;
  const text = decodeText(name);
  return text?.length === key.length && text.toLowerCase() === key;
}

function headerKeys(headers: unknown): string[] {
  const keys = hasEntries(headers) ? [...headers].flatMap(keysOfEntry) : keysOfEntry(headers);
  return keys.map(decodeText).filter((key) => key !== undefined);
}

function keysOfEntry(entry: unknown): unknown[] {
  if (Array.isArray(entry)) return entry.slice(0, 1);
  return isHeaderObject(entry) ? Object.keys(entry) : [];
}

function decodeText(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return types.isUint8Array(value) ? decodeUtf8(value) : undefined;
}

function unquotedText(value: unknown): string | undefined {
  const text = decodeText(value);
  return text === undefined ? undefined : unquote(text);
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  const { buffer, byteOffset, byteLength } = bytes;
  const view = Buffer.isBuffer(bytes) ? bytes : Buffer.from(buffer, byteOffset, byteLength);
  // Nearly every header is ASCII, which Node decodes fastest as Latin-1.
  const text = view.toString("latin1", 0, MAX_DECODED_BYTES);
  if (ASCII.test(text)) return text;
  return isUtf8(view) ? view.toString("utf8", 0, MAX_DECODED_BYTES) : undefined;
}

// Kafka Connect's JsonConverter and JSON serializers send `"00-..."` with its quotes.
function unquote(text: string): string {
  if (!text.startsWith('"') || !text.endsWith('"') || text.length > MAX_QUOTED_LENGTH) return text;
  try {
    // A text that begins and ends with a quote is a string, or it is not JSON.
    return String(JSON.parse(text));
  } catch {
    return text;
  }
}

/**
 * Makes new headers of the same form with the injected fields in them, once each and behind the others; what an
 * earlier trace left under their names, in any letter case, is taken out. Values are text, or bytes where keys
 * are bytes. The given headers are not changed. Returns `undefined` for a value that is no headers at all.
 */
export function withFields(headers: unknown, injection: Injection): object | undefined {
  if (headers === undefined) return Object.fromEntries(injection.fields);
  if (types.isMap(headers)) {
    const kept = [...headers].filter(([key]) => !isStale(key, injection));
    return new Map([...kept, ...fieldPairs(injection, [...headers.keys()])]);
  }
  if (Array.isArray(headers)) return listWithFields(headers, injection);
  return isHeaderObject(headers) ? objectWithFields(headers, injection) : undefined;
}

function objectWithFields(headers: HeaderObject, injection: Injection): HeaderObject {
  const out: Record<string, unknown> = {};
  for (const key of Object.keys(headers)) {
    if (isStale(key, injection)) continue;
    // An assignment would set the prototype.
    if (key === "__proto__") {
      Object.defineProperty(out, key, { ...PLAIN_PROPERTY, value: headers[key] });
    } else {
      out[key] = headers[key];
    }
  }
  for (const [key, value] of injection.fields) out[key] = value;
  return out;
}

// Pairs where there are pairs; else one object for each header: librdkafka reads only the first key of each.
function listWithFields(headers: readonly unknown[], injection: Injection): unknown[] {
  const out: unknown[] = [];
  const pairKeys: unknown[] = [];
  for (const entry of headers) {
    if (Array.isArray(entry)) pairKeys.push(entry[0]);
    out.push(...withoutStale(entry, injection));
  }
  if (pairKeys.length > 0) out.push(...fieldPairs(injection, pairKeys));
  else for (const [key, value] of injection.fields) out.push({ [key]: value });
  return out;
}

// The same entry, a copy without its stale keys, or no entry at all.
function withoutStale(entry: unknown, injection: Injection): unknown[] {
  if (Array.isArray(entry)) return isStale(entry[0], injection) ? [] : [entry];
  if (!isHeaderObject(entry)) return [entry];
  const keys = Object.keys(entry);
  const kept = keys.filter((key) => !isStale(key, injection));
  if (kept.length === keys.length) return [entry];
  return kept.length === 0 ? [] : [Object.fromEntries(kept.map((key) => [key, entry[key]]))];
}

function fieldPairs({ fields }: Injection, otherKeys: readonly unknown[]): [unknown, unknown][] {
  if (otherKeys.some((key) => types.isUint8Array(key))) {
    return [...fields].map(([key, value]) => [Buffer.from(key), Buffer.from(value)]);
  }
  return [...fields];
}

// The stale names include those of the injected fields.
function isStale(key: unknown, { stale }: Injection): boolean {
  const name = decodeText(key)?.toLowerCase();
  return name !== undefined && stale.includes(name);
}

type HeaderObject = Readonly<Record<string, unknown>>;

function isHeaderObject(value: unknown): value is HeaderObject {
  return typeof value === "object" && value !== null && !ArrayBuffer.isView(value);
}
