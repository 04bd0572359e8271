import { isUint8Array } from "node:util/types";

// What no field may fill: a megabyte of bytes is not decoded to be refused afterwards. Cut here, the text is
// still longer than any limit that the fields themselves have.
const MAX_BYTES = 65_536;

/**
 * The text of a header value that a stranger wrote: a string, bytes, or a list of these, which is one list
 * (RFC 9110 section 5.3). Bytes are read as UTF-8, so that one that is no ASCII breaks the strict grammars
 * later. `undefined` for anything else; what is no text within a list counts as an empty one.
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

/** Whether a field was sent more than once: what only a list may be. */
export function isRepeated(value: unknown): boolean {
  return Array.isArray(value) && value.length > 1;
}

function bytesToText(bytes: Uint8Array): string {
  const length = Math.min(bytes.byteLength, MAX_BYTES);
  return Buffer.from(bytes.buffer, bytes.byteOffset, length).toString("utf8");
}
