import stringWidth from "string-width";

const graphemes = new Intl.Segmenter();

// Names come from strangers and end in terminals and CI logs: nothing of theirs may move the cursor, turn the
// writing direction or begin a line. The joiners that scripts and emoji need are harmless.
const unprintable = /[\p{Cc}\p{Zl}\p{Zp}]|(?![\u200c\u200d])\p{Cf}/gu;

/** The text with everything that a terminal would obey written out, and cut to a sane length. */
export function printable(text: string, maxLength = 256): string {
  const short = text.length > maxLength ? `${text.slice(0, maxLength)}…` : text;
  // Through UTF-8 and back, so that half a surrogate pair becomes a replacement character.
  return Buffer.from(short)
    .toString()
    .replace(unprintable, (character) => {
      const code = character.codePointAt(0) ?? 0;
      return code < 0x100
        ? `\\x${code.toString(16).padStart(2, "0")}`
        : `\\u${code.toString(16).padStart(4, "0")}`;
    });
}

/** Cut and padded to exactly so many columns. */
export function exactly(text: string, columns: number): string {
  const cut = truncate(text, columns);
  return cut + " ".repeat(Math.max(0, columns - stringWidth(cut)));
}

/** Cut to at most so many columns, between characters. */
export function truncate(text: string, columns: number): string {
  if (stringWidth(text) <= columns) return text;
  return `${head(text, columns - 1)}…`;
}

/** Broken into lines of at most so many columns, between words where there is room. */
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
  for (const { segment, index } of graphemes.segment(text)) {
    width += stringWidth(segment);
    if (width > columns) break;
    end = index + segment.length;
  }
  return text.slice(0, end);
}

const units = [
  { unit: "d", ms: 86_400_000 },
  { unit: "h", ms: 3_600_000 },
  { unit: "s", ms: 1000 },
  { unit: "ms", ms: 1 },
] as const;

/** Three digits and a unit: "0.42ms", "12.3ms", "1.23s". Never longer than 8 characters. */
export function duration(ns: bigint): string {
  const ms = Number(ns) / 1e6;
  const size = Math.abs(ms);
  const { unit, ms: one } = units.find((step) => size >= step.ms) ?? units[3];
  const value = ms / one;
  const digits = Math.abs(value) < 9.995 ? 2 : Math.abs(value) < 99.95 ? 1 : 0;
  return ns === 0n ? "0ms" : `${value.toFixed(digits)}${unit}`;
}
