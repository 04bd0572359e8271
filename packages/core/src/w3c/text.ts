const NONE: readonly string[] = [];

/**
 * The texts in a header value that a stranger wrote: a string, bytes (read as UTF-8, so that a byte that is
 * no ASCII breaks the strict grammars later), or a list of these. Anything else is passed over.
 */
export function textsOf(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  if (value === undefined || value === null) return NONE;
  if (value instanceof Uint8Array) return [bytesToText(value)];
  if (!Array.isArray(value)) return NONE;
  const texts: string[] = [];
  for (const item of value) {
    if (typeof item === "string") texts.push(item);
    else if (item instanceof Uint8Array) texts.push(bytesToText(item));
  }
  return texts;
}

/** A list field sent in several parts is one list: RFC 9110 section 5.3. */
export function joinTexts(texts: readonly string[]): string | undefined {
  return texts.length < 2 ? texts[0] : texts.join(",");
}

function bytesToText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}
