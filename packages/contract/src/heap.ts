import assert from "node:assert/strict";
import { setImmediate as immediate } from "node:timers/promises";

/** Objects of one message that the contract can reach, by the name of their kind: `"context"`, `"span"`. */
export type MessageObjects = Readonly<Record<string, unknown>>;

/** Holds objects weakly, and so tells which of them something else keeps in memory. */
export class WeakObjects {
  readonly #refs = new Map<string, WeakRef<object>[]>();

  /** Adds the objects and functions among these; other values are not collected and so are left out. */
  add(objects: MessageObjects): void {
    for (const [kind, value] of Object.entries(objects)) {
      if (typeof value !== "object" && typeof value !== "function") continue;
      if (value === null) continue;
      const refs = this.#refs.get(kind) ?? [];
      this.#refs.set(kind, refs);
      refs.push(new WeakRef(value));
    }
  }

  /** Counts the objects of each kind that are still in memory. Collect the garbage before. */
  countAlive(): readonly (readonly [kind: string, count: number])[] {
    return [...this.#refs].map(([kind, refs]) => [
      kind,
      refs.filter((ref) => ref.deref() !== undefined).length,
    ]);
  }
}

/** Collects the garbage and gives the bytes that stay on the heap. Fails without `--expose-gc`. */
export async function collectedHeap(): Promise<number> {
  const { gc } = globalThis;
  assert.ok(
    gc !== undefined,
    "memory cannot be measured: run the tests with node --expose-gc (vitest: execArgv)",
  );
  // Objects that finalizers let go of are garbage of the second collection.
  for (let time = 0; time < 2; time++) {
    await gc({ type: "major", execution: "async" });
    await immediate();
  }
  return process.memoryUsage().heapUsed;
}
