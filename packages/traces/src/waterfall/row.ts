import { Bar } from "./bar.js";
import { duration, truncate } from "./text.js";
import type { Node } from "./tree.js";

const timeColumns = 8;

/** The cells behind a label. Wide lines get longer bars; narrow ones none, and kinds of three letters. */
export class Row {
  readonly columns: { readonly label: number; readonly lead: number; readonly kind: number };
  readonly #bar: Bar;
  readonly #originNs: bigint;

  constructor(width: number, originNs: bigint, endNs: bigint) {
    const kind = width < 60 ? 3 : 8;
    const bar = width < 72 ? 0 : Math.min(50, Math.floor((width - 40) / 4));
    const taken = 1 + kind + 2 * (1 + timeColumns) + (bar === 0 ? 0 : 1 + bar);
    const label = width - taken;
    this.columns = { label, lead: Math.floor(label * 0.6), kind };
    this.#originNs = originNs;
    this.#bar = new Bar(bar, originNs, endNs);
  }

  of({ span }: Node, isSkewed: boolean) {
    const { startNs } = span;
    // Hostile or broken data may end before it begins.
    const lengthNs = span.endNs > startNs ? span.endNs - startNs : 0n;
    const offset = `${isSkewed ? "~" : ""}+${duration(startNs - this.#originNs)}`;
    const { gap, body } = this.#bar.of(startNs, lengthNs);
    return {
      kind: span.kind.slice(0, this.columns.kind).padEnd(this.columns.kind),
      offset: truncate(offset, timeColumns).padStart(timeColumns),
      length: truncate(duration(lengthNs), timeColumns).padStart(timeColumns),
      gap,
      bar: body,
    };
  }
}
