import stringWidth from "string-width";

const graphemeSegmenter = new Intl.Segmenter();

// Names of spans and services are untrusted, and are written to terminals and CI logs: they must not move the cursor,
// change the writing direction or begin a line. The joiners that scripts and emoji need are harmless.
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}]|(?![\u200c\u200d])\p{Cf}/gu;

/** Escapes control characters, and cuts the text to `maxLength` characters. */
export function printable(text: string, maxLength = 256): string {
  const short = text.length > maxLength ? `${text.slice(0, maxLength)}…` : text;
  // Through UTF-8 and back, so that half a surrogate pair becomes a replacement character.
  return Buffer.from(short)
    .toString()
    .replace(UNPRINTABLE, (character) => {
      const code = character.codePointAt(0) ?? 0;
      return code < 0x100
        ? `\\x${code.toString(16).padStart(2, "0")}`
        : `\\u${code.toString(16).padStart(4, "0")}`;
    });
}

/** Cuts or pads the text to exactly so many columns. */
export function exactly(text: string, columns: number): string {
  const cut = truncate(text, columns);
  return cut + " ".repeat(Math.max(0, columns - stringWidth(cut)));
}

/** Cuts the text to at most so many columns, between characters. */
export function truncate(text: string, columns: number): string {
  if (stringWidth(text) <= columns) return text;
  return `${head(text, columns - 1)}…`;
}

/** Breaks the text into lines of at most so many columns, between words where possible. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (let word of text.split(" ")) {
    if (stringWidth(line) + 1 + stringWidth(word) <= columns || line === "") {
      line = line === "" ? word : `${line} ${word}`;
    } else {
      lines.push(line);
      line = word;
    }
    while (stringWidth(line) > columns) {
      word = head(line, columns);
      lines.push(word);
      line = line.slice(word.length);
    }
  }
  return line === "" && lines.length > 0 ? lines : [...lines, line];
}

function head(text: string, columns: number): string {
  let width = 0;
  let end = 0;
  for (const { segment, index } of graphemeSegmenter.segment(text)) {
    width += stringWidth(segment);
    if (width > columns) break;
    end = index + segment.length;
  }
  return text.slice(0, end);
}

const UNITS = [
  { unit: "d", ms: 86_400_000 },
  { unit: "h", ms: 3_600_000 },
  { unit: "s", ms: 1000 },
  { unit: "ms", ms: 1 },
] as const;

/** Formats a duration with three digits and a unit: "0.42ms", "12.3ms", "1.23s". */
export function duration(ns: bigint): string {
  const ms = Number(ns) / 1e6;
  const size = Math.abs(ms);
  const { unit, ms: unitMs } = UNITS.find((step) => size >= step.ms) ?? UNITS[3];
  const value = ms / unitMs;
  return ns === 0n ? "0ms" : `${value.toFixed(decimalsOf(Math.abs(value)))}${unit}`;
}

function decimalsOf(value: number): number {
  if (value < 9.995) return 2;
  return value < 99.95 ? 1 : 0;
}
