import { type CharacterSet, isMadeOf } from "./scan.js";

// A byte order mark belongs to the value; bytes that are no UTF-8 become U+FFFD, as W3C Baggage asks.
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

const PERCENT = 0x25;

/** Writes each UTF-8 byte outside the set as `%XX`. A lone surrogate becomes U+FFFD. */
export function encodeOutside(set: CharacterSet, text: string): string {
  if (isMadeOf(set, text)) return text;
  let out = "";
  for (const byte of encoder.encode(text)) {
    out +=
      set[byte] === 1
        ? String.fromCharCode(byte)
        : `%${byte < 16 ? "0" : ""}${byte.toString(16).toUpperCase()}`;
  }
  return out;
}

/** `%XX` to bytes to text. A percent sign without two hex digits stays what it is; a plus is a plus. */
export function decodePercent(text: string): string {
  if (!text.includes("%")) return text;
  const bytes = encoder.encode(text);
  let length = 0;
  for (let i = 0; i < bytes.length; i++) {
    const high = bytes[i] === PERCENT ? hexDigit(bytes[i + 1]) : -1;
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
