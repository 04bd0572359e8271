import type { Span } from "../span.js";
import type { Address } from "./address.js";

/** One end of a hop and what it can be joined by. */
export interface End {
  readonly span: Span;
  readonly address: Address;
  readonly key: string | undefined;
  readonly joins: ReadonlyMap<string, string>;
  /** The services whose roots were joined with it already. */
  readonly taken: Set<string>;
}

/** Exits to one place, in order of start. Made for being asked by many entries, one after the other. */
export class Place {
  readonly #ends: End[] = [];
  /** By index: when the last of the exits up to there ended. */
  readonly #overAt: bigint[] = [];
  readonly #forward = new Map<string, Skips>();
  readonly #backward = new Map<string, Skips>();

  /** Later ones after earlier ones. */
  add(end: End): void {
    const before = this.#overAt.at(-1) ?? 0n;
    this.#ends.push(end);
    this.#overAt.push(end.span.endNs > before ? end.span.endNs : before);
  }

  /** What started in between, ends included, and was not taken by the service yet; the earliest first. */
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

  /** What started up to a time and may still have run at another, and was not taken; the latest first. */
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

/** Remembers which indices need not be looked at again. */
class Skips {
  readonly #next = new Map<number, number>();

  skip(index: number, next: number): void {
    this.#next.set(index, next);
  }

  from(index: number): number {
    let end = index;
    for (let next = this.#next.get(end); next !== undefined; next = this.#next.get(end)) end = next;
    // Whoever comes this way again goes straight to the end.
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
