import {
  type Baggage,
  type BaggageEntry,
  baggageEntryMetadataFromString,
  propagation,
} from "@opentelemetry/api";
import { trimBlanks } from "./tracestate.js";

// W3C Baggage, "Limits": all is passed on up to these; Go and Java keep no more.
const MAX_MEMBERS = 64;
const MAX_BYTES = 8192;

/** RFC 7230 token. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** What needs no encoding: W3C Baggage, "baggage-octet", without the percent sign and without the plus, which Python reads as a blank. */
const PLAIN = /^[\x21\x23\x24\x26-\x2a\x2d-\x3a\x3c-\x5b\x5d-\x7e]*$/;

// A byte order mark belongs to the value; bytes that are no UTF-8 become U+FFFD, as the specification asks.
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

/**
 * Reads one combined `baggage` field. Broken members are dropped one by one, the last of a repeated name
 * wins, and what goes beyond 64 members or 8192 bytes is dropped from the right, in whole members.
 * Gives `undefined` when nothing is left.
 */
export function parseBaggage(text: string): Baggage | undefined {
  // A plain object made from a Map keeps a name such as `__proto__`.
  const entries = new Map<string, BaggageEntry>();
  let members = 0;
  for (let from = 0; from < text.length && from < MAX_BYTES; ) {
    let to = text.indexOf(",", from);
    if (to < 0) to = text.length;
    const start = from;
    from = to + 1;
    const member = trimBlanks(text, start, to);
    if (member === "") continue;
    if (to > MAX_BYTES || ++members > MAX_MEMBERS) break;
    addMember(entries, member);
  }
  return entries.size === 0 ? undefined : propagation.createBaggage(Object.fromEntries(entries));
}

function addMember(entries: Map<string, BaggageEntry>, member: string): void {
  let end = member.indexOf(";");
  if (end < 0) end = member.length;
  const equals = member.indexOf("=");
  if (equals < 0 || equals > end) return;
  const key = trimBlanks(member, 0, equals);
  if (!TOKEN.test(key)) return;
  const value = decode(trimBlanks(member, equals + 1, end));
  const properties = readProperties(member.slice(end + 1));
  entries.delete(key); // the last one wins, its place included
  entries.set(
    key,
    properties === "" ? { value } : { value, metadata: baggageEntryMetadataFromString(properties) },
  );
}

/**
 * Writes one `baggage` field: UTF-8, percent-encoded where the grammar asks for it, whole members only,
 * at most 64 and 8192 bytes. Names that are no token are left out. Empty when there is nothing to send.
 */
export function serializeBaggage(baggage: Baggage): string {
  const known = serialized.get(baggage);
  if (known !== undefined) return known;
  let text = "";
  let members = 0;
  for (const [key, entry] of baggage.getAllEntries()) {
    if (typeof key !== "string" || !TOKEN.test(key)) continue;
    const properties = readProperties(entry.metadata?.toString() ?? "");
    const member = `${key}=${encode(String(entry.value))}${properties === "" ? "" : `;${properties}`}`;
    const length = text.length + member.length + (text === "" ? 0 : 1);
    if (length > MAX_BYTES || members === MAX_MEMBERS) break;
    text = text === "" ? member : `${text},${member}`;
    members++;
  }
  serialized.set(baggage, text);
  return text;
}

// Baggage is immutable and one request sends it many times.
const serialized = new WeakMap<Baggage, string>();

/** Properties in wire form: order kept, blanks trimmed, bytes outside the grammar encoded, nameless ones dropped. */
function readProperties(text: string): string {
  if (text === "") return "";
  const kept: string[] = [];
  for (const property of text.split(";")) {
    const equals = property.indexOf("=");
    const key = trimBlanks(property, 0, equals < 0 ? property.length : equals);
    if (!TOKEN.test(key)) continue;
    if (equals < 0) kept.push(key);
    else kept.push(`${key}=${encodeRest(trimBlanks(property, equals + 1, property.length))}`);
  }
  return kept.join(";");
}

/** `%XX` to bytes to text. A percent sign without two hex digits stays what it is; a plus is a plus. */
function decode(text: string): string {
  if (!text.includes("%")) return text;
  const bytes = encoder.encode(text);
  let length = 0;
  for (let i = 0; i < bytes.length; i++) {
    const high = bytes[i] === 0x25 ? hexDigit(bytes[i + 1]) : -1;
    const low = high < 0 ? -1 : hexDigit(bytes[i + 2]);
    if (low < 0) {
      bytes[length++] = bytes[i] ?? 0;
    } else {
      bytes[length++] = high * 16 + low;
      i += 2;
    }
  }
  return utf8.decode(bytes.subarray(0, length));
}

function hexDigit(code: number | undefined): number {
  if (code === undefined) return -1;
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 0x20;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

/** Percent-encodes all that is no baggage-octet, percent sign and plus too. A lone surrogate becomes U+FFFD. */
function encode(text: string): string {
  return PLAIN.test(text) ? text : encodeBytes(text, '",;\\%+');
}

/** The same for text that is in wire form already: percent signs and plus signs stay. */
function encodeRest(text: string): string {
  return PLAIN.test(text) ? text : encodeBytes(text, '",;\\');
}

function encodeBytes(text: string, reserved: string): string {
  let out = "";
  for (const byte of encoder.encode(text)) {
    const char = String.fromCharCode(byte);
    const plain = byte > 0x20 && byte < 0x7f && !reserved.includes(char);
    out += plain ? char : `%${byte < 16 ? "0" : ""}${byte.toString(16).toUpperCase()}`;
  }
  return out;
}
