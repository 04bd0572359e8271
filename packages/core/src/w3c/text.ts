import { isUint8Array } from "node:util/types";

// Bytes beyond these are not decoded, so that a megabyte costs nothing. A text of this length is still longer than
// any field may be, and is refused or cut by the limits of the fields.
const MAX_BYTES = 65_536;

/**
 * Returns the text of a header value, which may be anything: a string, bytes, or a list of these, which is joined
 * by commas (RFC 9110 section 5.3). Bytes are decoded as UTF-8: those that are no ASCII then break the strict
 * grammars. Returns `undefined` for anything else; within a list, anything else counts as empty.
 */
export function headerText(value: unknown): string | undefined {
  if (!Array.isArray(value)) return valueText(value);
  if (value.length === 0) return undefined;
  const texts: string[] = [];
  for (const item of value) texts.push(valueText(item) ?? "");
  return texts.join(",");
}

function valueText(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return isUint8Array(value) ? bytesToText(value) : undefined;
}

/** True when a field was sent more than once, as only list fields may be. */
export function isRepeated(value: unknown): boolean {
  return Array.isArray(value) && value.length > 1;
}

function bytesToText(bytes: Uint8Array): string {
  const length = Math.min(bytes.byteLength, MAX_BYTES);
  return Buffer.from(bytes.buffer, bytes.byteOffset, length).toString("utf8");
}
