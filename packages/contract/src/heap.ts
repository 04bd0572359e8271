import assert from "node:assert/strict";
import { setImmediate as immediate } from "node:timers/promises";

/** Objects of one message that the contract can see, by what they are. */
export type Kept = Readonly<Record<string, unknown>>;

/** Knows objects without keeping them, and so which of them somebody else keeps. */
export class WatchedObjects {
  readonly #refs = new Map<string, WeakRef<object>[]>();

  add(kept: Kept): void {
    for (const [what, value] of Object.entries(kept)) {
      if (typeof value !== "object" && typeof value !== "function") continue;
      if (value === null) continue;
      const refs = this.#refs.get(what) ?? [];
      this.#refs.set(what, refs);
      refs.push(new WeakRef(value));
    }
  }

  /** How many of each are still there; collect the garbage before. */
  count(): readonly (readonly [what: string, count: number])[] {
    return [...this.#refs].map(([what, refs]) => [
      what,
      refs.filter((ref) => ref.deref() !== undefined).length,
    ]);
  }
}

/** Bytes on the heap without garbage. */
export async function collectedHeap(): Promise<number> {
  const { gc } = globalThis;
  assert.ok(
    gc !== undefined,
    "memory cannot be measured: run the tests with node --expose-gc (vitest: execArgv)",
  );
  // What finalizers let go of is garbage of the second collection.
  for (let time = 0; time < 2; time++) {
    await gc({ type: "major", execution: "async" });
    await immediate();
  }
  return process.memoryUsage().heapUsed;
}
