import { duration, truncate } from "./text.js";
import type { TreeNode } from "./tree.js";

const TIME_COLUMNS = 8;

/** The text of a span's line behind its label. */
export interface RowCells {
  readonly kind: string;
  readonly offset: string;
  readonly length: string;
  /** The blanks before the bar. */
  readonly gap: string;
  /** "" when the line is too narrow for bars. */
  readonly bar: string;
}

/** Lays out the lines of one trace. Wide lines get longer bars; narrow ones none, and kinds of three letters. */
export class RowLayout {
  /** Widths: of the label, of the tree's strokes at its start, and of the kind. */
  readonly columns: { readonly label: number; readonly lead: number; readonly kind: number };
  readonly #barColumns: number;
  readonly #originNs: bigint;
  readonly #durationNs: number;

  constructor(width: number, originNs: bigint, endNs: bigint) {
    const kind = width < 60 ? 3 : 8;
    const bar = width < 72 ? 0 : Math.min(50, Math.floor((width - 40) / 4));
    const taken = 1 + kind + 2 * (1 + TIME_COLUMNS) + (bar === 0 ? 0 : 1 + bar);
    const label = width - taken;
    this.columns = { label, lead: Math.floor(label * 0.6), kind };
    this.#barColumns = bar;
    this.#originNs = originNs;
    this.#durationNs = Math.max(1, Number(endNs - originNs));
  }

  /** The cells of a span. `isSkewed` marks its offset. */
  cellsOf({ span }: TreeNode, isSkewed: boolean): RowCells {
    const { startNs } = span;
    // Hostile or broken data may end before it begins.
    const lengthNs = span.endNs > startNs ? span.endNs - startNs : 0n;
    const offset = `${isSkewed ? "~" : ""}+${duration(startNs - this.#originNs)}`;
    return {
      kind: span.kind.slice(0, this.columns.kind).padEnd(this.columns.kind),
      offset: truncate(offset, TIME_COLUMNS).padStart(TIME_COLUMNS),
      length: truncate(duration(lengthNs), TIME_COLUMNS).padStart(TIME_COLUMNS),
      ...this.#bar(startNs, lengthNs),
    };
  }

  // At least one column, whatever the span's times are.
  #bar(startNs: bigint, lengthNs: bigint): Pick<RowCells, "gap" | "bar"> {
    const columns = this.#barColumns;
    if (columns === 0) return { gap: "", bar: "" };
    const scale = (ns: bigint): number => (Number(ns) / this.#durationNs) * columns;
    const from = Math.min(columns - 1, Math.floor(scale(startNs - this.#originNs)));
    const length = Math.round(scale(lengthNs));
    const bar = "█".repeat(Math.min(columns - from, Math.max(1, length)));
    return { gap: " ".repeat(from), bar };
  }
}
