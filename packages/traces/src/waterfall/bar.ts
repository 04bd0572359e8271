/** Draws when a span ran, within the time that the whole drawing covers. */
export class Bar {
  readonly #columns: number;
  readonly #originNs: bigint;
  readonly #lengthNs: number;

  constructor(columns: number, originNs: bigint, endNs: bigint) {
    this.#columns = columns;
    this.#originNs = originNs;
    this.#lengthNs = Math.max(1, Number(endNs - originNs));
  }

  /** The columns before it, and its own: at least one, whatever the span's times are. */
  of(startNs: bigint, lengthNs: bigint): { readonly gap: string; readonly body: string } {
    if (this.#columns === 0) return { gap: "", body: "" };
    const scale = (ns: bigint): number => (Number(ns) / this.#lengthNs) * this.#columns;
    const from = Math.min(this.#columns - 1, Math.floor(scale(startNs - this.#originNs)));
    const length = Math.round(scale(lengthNs));
    const body = "█".repeat(Math.min(this.#columns - from, Math.max(1, length)));
    return { gap: " ".repeat(from), body };
  }
}
