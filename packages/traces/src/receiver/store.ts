import type { Span } from "../span.js";

/** Is told of every batch, in the order of arrival, after it is in the store. */
export type SpansListener = (spans: readonly Span[]) => void;

/** Where the spans of a receiver are kept: bounded, the oldest leave first. */
export class SpanStore {
  readonly #maxSpans: number;
  readonly #listeners = new Set<SpansListener>();
  #spans: Span[] = [];
  #snapshot: readonly Span[] | undefined;
  #dropped = 0;

  constructor(maxSpans: number) {
    this.#maxSpans = maxSpans;
  }

  /** A snapshot: it does not change when more arrives. */
  get spans(): readonly Span[] {
    this.#snapshot ??= this.#spans.slice();
    return this.#snapshot;
  }

  get dropped(): number {
    return this.#dropped;
  }

  add(spans: readonly Span[]): void {
    if (spans.length === 0) return;
    for (const span of spans) this.#spans.push(span);
    // A tenth at a time, so that a full store does not move everything for every batch.
    if (this.#spans.length > this.#maxSpans) {
      const room = Math.floor(this.#maxSpans / 10);
      const excess = Math.min(this.#spans.length, this.#spans.length - this.#maxSpans + room);
      this.#spans = this.#spans.slice(excess);
      this.#dropped += excess;
    }
    this.#snapshot = undefined;
    for (const listener of [...this.#listeners]) tell(listener, spans);
  }

  clear(): void {
    this.#spans = [];
    this.#snapshot = undefined;
  }

  onSpans(listener: SpansListener): () => void {
    // A function of its own, so that the same listener can be added twice and be taken away once.
    const added: SpansListener = (spans) => listener(spans);
    this.#listeners.add(added);
    return () => {
      this.#listeners.delete(added);
    };
  }
}

// A listener that throws must not turn into a refused request, nor keep the others from hearing: its
// error is thrown where the test runner sees it.
function tell(listener: SpansListener, spans: readonly Span[]): void {
  try {
    listener(spans);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
