import { type CharacterSet, isMadeOf } from "./scan.js";

/** Percent-encodes each character outside the set, as its UTF-8 bytes. A lone surrogate becomes U+FFFD. */
export function encodeOutside(set: CharacterSet, text: string): string {
  if (isMadeOf(set, text)) return text;
  let out = "";
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    if (set[code] === 1) out += char;
    else if (code > 0x7f) out += encodeURIComponent(isSurrogate(code) ? "\ufffd" : char);
    else out += `%${code < 16 ? "0" : ""}${code.toString(16).toUpperCase()}`;
  }
  return out;
}

// A surrogate pair is one character here, so this one is alone.
function isSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdfff;
}

/**
 * Decodes percent-encoded UTF-8. Bytes that are no UTF-8 become U+FFFD, as W3C Baggage asks. A percent sign
 * without two hex digits stays as it is, and so does a plus.
 */
export function decodePercent(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return decodeLeniently(text);
  }
}

// A byte order mark is part of the value.
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();
const PERCENT = 0x25;

function decodeLeniently(text: string): string {
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
