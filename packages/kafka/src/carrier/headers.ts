import { isUtf8 } from "node:buffer";
import { types } from "node:util";
import { type Injection, SanitizingGetter } from "@traceferry/core";

/** One header value. Kafka knows bytes and null; clients also take text. */
export type HeaderValue = string | Uint8Array | null | undefined;

/**
 * The headers of a record in any of the forms that Node's clients use. The same key may come several times.
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

/** Reads a propagator's fields out of headers of any form. */
export const kafkaGetter = new SanitizingGetter<unknown>({ read: readHeader, keys: headerKeys });

// Sound at a glance: what is picked here is parsed in full later.
const SOUND_TRACEPARENT =
  /^[ \t]*(?!ff|00-.{52}-)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-|[ \t]*$)/;

/**
 * The text under a lower-case key, whatever the letter case it was sent in. A record is an append log: of
 * several values the last that is text wins, and of several traceparents the last that is sound. Null, empty
 * values and bytes that are no UTF-8 are passed over.
 */
export function readHeader(headers: unknown, key: string): string | undefined {
  const values = valuesOf(headers, key);
  let last: string | undefined;
  for (let i = values.length - 1; i >= 0; i--) {
    const text = textOf(values[i]);
    if (text === undefined || text === "") continue;
    if (key !== "traceparent") return text;
    // The common case costs no regular expression: one value is parsed in full later, sound or not.
    const sound = values.length === 1 && !text.includes(",") ? text : soundTraceparent(text);
    if (sound !== undefined) return sound;
    last ??= text;
  }
  return last;
}

// NestJS joins repeated headers to "first,second".
function soundTraceparent(text: string): string | undefined {
  return text.split(",", 1000).findLast((part) => SOUND_TRACEPARENT.test(part));
}

function valuesOf(headers: unknown, key: string): unknown[] {
  const found: unknown[] = [];
  if (types.isMap(headers)) {
    for (const [name, value] of headers) if (isNamed(name, key)) found.push(value);
  } else if (Array.isArray(headers)) {
    for (const entry of headers) {
      if (!Array.isArray(entry)) addOwn(entry, key, found);
      else if (isNamed(entry[0], key)) found.push(entry[1]);
    }
  } else {
    addOwn(headers, key, found);
  }
  return found;
}

// Own keys only: kafkajs decodes into a plain object, where `constructor` is inherited.
function addOwn(headers: unknown, key: string, found: unknown[]): void {
  if (!isFields(headers)) return;
  for (const name of Object.keys(headers)) {
    if (!isNamed(name, key)) continue;
    const value = headers[name];
    if (Array.isArray(value)) found.push(...value.slice(-MAX_REPEATS));
    else found.push(value);
  }
}

// The last of them count; a stranger's million would overflow the stack.
const MAX_REPEATS = 1000;

function isNamed(name: unknown, key: string): boolean {
  // The common case, without folding.
  if (name === key) return true;
  const text = keyText(name);
  return text?.length === key.length && text.toLowerCase() === key;
}

function headerKeys(headers: unknown): string[] {
  const keys: unknown[] = types.isMap(headers)
    ? [...headers.keys()]
    : Array.isArray(headers)
      ? headers.flatMap((entry: unknown) =>
          Array.isArray(entry) ? entry.slice(0, 1) : isFields(entry) ? Object.keys(entry) : [],
        )
      : isFields(headers)
        ? Object.keys(headers)
        : [];
  return keys.map(keyText).filter((key) => key !== undefined);
}

function keyText(key: unknown): string | undefined {
  if (typeof key === "string") return key;
  return types.isUint8Array(key) ? bytesText(key) : undefined;
}

function textOf(value: unknown): string | undefined {
  if (typeof value === "string") return unquote(value);
  if (!types.isUint8Array(value)) return undefined;
  const text = bytesText(value);
  return text === undefined ? undefined : unquote(text);
}

function bytesText(bytes: Uint8Array): string | undefined {
  const { buffer, byteOffset, byteLength } = bytes;
  const view = Buffer.isBuffer(bytes) ? bytes : Buffer.from(buffer, byteOffset, byteLength);
  // Nearly all is ASCII, and this is the fast way to it.
  const text = view.toString("latin1", 0, MAX_BYTES);
  if (ASCII.test(text)) return text;
  return isUtf8(view) ? view.toString("utf8", 0, MAX_BYTES) : undefined;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII has them.
const ASCII = /^[\x00-\x7f]*$/;

// Longer than any field may be: a stranger's megabyte is not decoded to be refused afterwards.
const MAX_BYTES = 65_536;

// Kafka Connect's JsonConverter and JSON serializers send `"00-..."` with its quotes.
function unquote(text: string): string {
  if (!text.startsWith('"') || !text.endsWith('"') || text.length > MAX_QUOTED) return text;
  try {
    // Between quotes there is a string, or no JSON.
    return String(JSON.parse(text));
  } catch {
    return text;
  }
}

const MAX_QUOTED = 16_384;

/**
 * Headers of the same form with our fields in them, once each and behind the others; what lay under the same
 * names before, in any letter case, is gone. Values are text, or bytes where the keys are bytes. The headers
 * that are given stay as they are. Gives `undefined` for what is no headers at all.
 */
export function withFields(headers: unknown, injection: Injection): object | undefined {
  if (headers === undefined) return Object.fromEntries(injection.fields);
  if (types.isMap(headers)) {
    const kept = [...headers].filter(([key]) => !isReplaced(key, injection));
    return new Map([...kept, ...pairs(injection, [...headers.keys()])]);
  }
  if (Array.isArray(headers)) return listWithFields(headers, injection);
  return isFields(headers) ? recordWithFields(headers, injection) : undefined;
}

function recordWithFields(headers: Fields, injection: Injection): Fields {
  const out: Record<string, unknown> = {};
  for (const key of Object.keys(headers)) {
    if (isReplaced(key, injection)) continue;
    // Assigned, it would be the prototype.
    if (key === "__proto__") Object.defineProperty(out, key, { ...OWN, value: headers[key] });
    else out[key] = headers[key];
  }
  for (const [key, value] of injection.fields) out[key] = value;
  return out;
}

const OWN = { enumerable: true, writable: true, configurable: true };

// Pairs where there are pairs; else one object for each header: librdkafka reads only the first key of each.
function listWithFields(headers: readonly unknown[], injection: Injection): unknown[] {
  const out: unknown[] = [];
  const keys: unknown[] = [];
  for (const entry of headers) {
    if (Array.isArray(entry)) {
      keys.push(entry[0]);
      if (!isReplaced(entry[0], injection)) out.push(entry);
    } else if (isFields(entry) && Object.keys(entry).some((key) => isReplaced(key, injection))) {
      const rest = Object.entries(entry).filter(([key]) => !isReplaced(key, injection));
      if (rest.length > 0) out.push(Object.fromEntries(rest));
    } else {
      out.push(entry);
    }
  }
  if (keys.length > 0) out.push(...pairs(injection, keys));
  else for (const [key, value] of injection.fields) out.push({ [key]: value });
  return out;
}

function pairs({ fields }: Injection, besides: readonly unknown[]): [unknown, unknown][] {
  if (besides.some((key) => types.isUint8Array(key))) {
    return [...fields].map(([key, value]) => [Buffer.from(key), Buffer.from(value)]);
  }
  return [...fields];
}

// The stale names are those of the fields, and more.
function isReplaced(key: unknown, { stale }: Injection): boolean {
  const name = keyText(key)?.toLowerCase();
  return name !== undefined && stale.includes(name);
}

type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !ArrayBuffer.isView(value);
}
