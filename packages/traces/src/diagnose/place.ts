import type { Span } from "../span.js";
import type { Address } from "./address.js";

/** A span at one end of a hop, with what it can be joined by. */
export interface End {
  readonly span: Span;
  readonly address: Address;
  /** See `ownKeyOf`. */
  readonly key: string | undefined;
  /** The `joinBy` attributes by name. */
  readonly joins: ReadonlyMap<string, string>;
  /** The services whose roots are joined with it already. */
  readonly taken: Set<string>;
}

/** Exit spans to one destination, in order of start, for lookups by many entry spans one after the other. */
export class Place {
  readonly #ends: End[] = [];
  /** By index: the latest end among the exit spans up to there. */
  readonly #overAt: bigint[] = [];
  readonly #forward = new Map<string, Skips>();
  readonly #backward = new Map<string, Skips>();

  /** Adds an exit span; must be called in order of start. */
  add(end: End): void {
    const before = this.#overAt.at(-1) ?? 0n;
    this.#ends.push(end);
    this.#overAt.push(end.span.endNs > before ? end.span.endNs : before);
  }

  /** The exit spans that started within these times, both included, and are not taken by the service; earliest first. */
  *startedWithin(firstNs: bigint, lastNs: bigint, service: string): Generator<End> {
    const skips = skipsOf(this.#forward, service);
    let index = skips.from(this.#firstAfter(firstNs - 1n));
    for (let end = this.#ends[index]; end !== undefined; end = this.#ends[index]) {
      if (end.span.startNs > lastNs) return;
      if (end.taken.has(service)) skips.skip(index, index + 1);
      else yield end;
      index = skips.from(index + 1);
    }
  }

  /** The exit spans that started by `startedNs`, ran at `runningNs`, and are not taken by the service; latest first. */
  *runningAt(startedNs: bigint, runningNs: bigint, service: string): Generator<End> {
    const skips = skipsOf(this.#backward, service);
    let index = skips.from(this.#firstAfter(startedNs) - 1);
    for (let end = this.#ends[index]; end !== undefined; end = this.#ends[index]) {
      if ((this.#overAt[index] ?? 0n) < runningNs) return;
      if (end.taken.has(service)) skips.skip(index, index - 1);
      else if (end.span.endNs >= runningNs) yield end;
      index = skips.from(index - 1);
    }
  }

  #firstAfter(timeNs: bigint): number {
    let low = 0;
    let high = this.#ends.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const end = this.#ends[middle];
      if (end !== undefined && end.span.startNs <= timeNs) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Remembers the indices that need not be looked at again. */
class Skips {
  readonly #next = new Map<number, number>();

  skip(index: number, next: number): void {
    this.#next.set(index, next);
  }

  from(index: number): number {
    let end = index;
    for (let next = this.#next.get(end); next !== undefined; next = this.#next.get(end)) end = next;
    // Shortens the chain, so that later lookups jump to its end.
    for (let step = index; step !== end; ) {
      const next = this.#next.get(step) ?? end;
      this.#next.set(step, end);
      step = next;
    }
    return end;
  }
}

function skipsOf(all: Map<string, Skips>, service: string): Skips {
  let skips = all.get(service);
  if (skips === undefined) {
    skips = new Skips();
    all.set(service, skips);
  }
  return skips;
}
