import type { Span } from "../span.js";

/** Called with every batch of spans, in order of arrival, once the store has it. */
export type SpansListener = (spans: readonly Span[]) => void;

/** Keeps the spans of a receiver, at most `maxSpans`; the oldest are dropped first. */
export class SpanStore {
  readonly #maxSpans: number;
  readonly #listeners = new Set<SpansListener>();
  #spans: Span[] = [];
  #snapshot: readonly Span[] | undefined;
  #dropped = 0;

  constructor(maxSpans: number) {
    this.#maxSpans = maxSpans;
  }

  /** All spans, in order of arrival, as a snapshot that does not change when more arrive. */
  get spans(): readonly Span[] {
    this.#snapshot ??= this.#spans.slice();
    return this.#snapshot;
  }

  /** The number of spans that were dropped to stay within `maxSpans`. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Keeps a batch and calls every listener with it. */
  add(spans: readonly Span[]): void {
    if (spans.length === 0) return;
    for (const span of spans) this.#spans.push(span);
    // A tenth more than needed, so that a full store does not copy all spans for every batch.
    if (this.#spans.length > this.#maxSpans) {
      const spare = Math.floor(this.#maxSpans / 10);
      const excess = Math.min(this.#spans.length, this.#spans.length - this.#maxSpans + spare);
      this.#spans = this.#spans.slice(excess);
      this.#dropped += excess;
    }
    this.#snapshot = undefined;
    for (const listener of [...this.#listeners]) notify(listener, spans);
  }

  /** Forgets all spans; what was dropped stays counted. */
  clear(): void {
    this.#spans = [];
    this.#snapshot = undefined;
  }

  /** Adds a listener. The returned function removes it. */
  onSpans(listener: SpansListener): () => void {
    // A new function for each call, so that a listener that was added twice can be removed once.
    const added: SpansListener = (spans) => listener(spans);
    this.#listeners.add(added);
    return () => {
      this.#listeners.delete(added);
    };
  }
}

// An error of a listener must neither refuse the request nor skip the other listeners. It is thrown as an uncaught
// exception, which test runners report.
function notify(listener: SpansListener, spans: readonly Span[]): void {
  try {
    listener(spans);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
