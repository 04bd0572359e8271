import assert from "node:assert/strict";
import { createHook } from "node:async_hooks";
import { setImmediate as immediate } from "node:timers/promises";
import { sender } from "../senders.js";
import type { Adapter } from "./adapter.js";
import { type Bench, type ContractCase, scene } from "./bench.js";

const AT_ONCE = 50;
// Below what one kept context, span or closure weighs, above what a collected heap wobbles by.
const BYTES_PER_MESSAGE = 150;
const HEAP_WOBBLE = 256 * 1024;

/** Item 8: nothing leaks. */
export function lasting(adapter: Adapter): ContractCase[] {
  const messages = adapter.messages ?? 10_000;
  return [
    scene(
      adapter,
      `${messages} messages leave no span, timer, listener or memory behind`,
      (bench) => lasts(bench, messages),
    ),
  ];
}

async function lasts(bench: Bench, messages: number): Promise<void> {
  using timers = watchTimers();
  const half = Math.ceil(messages / 2);
  await pass(bench, half);
  const before = await holdings(bench, timers.live);
  await pass(bench, half);
  const after = await holdings(bench, timers.live);

  assert.deepEqual(bench.spans.open, [], "spans that never ended");
  for (const [what, count] of after.counts) {
    const was = before.counts.get(what) ?? 0;
    assert.ok(count - was < 10, `${half} messages left ${count - was} more of ${what}`);
  }
  const grown = after.heap - before.heap;
  assert.ok(
    grown < half * BYTES_PER_MESSAGE + HEAP_WOBBLE,
    `${half} messages left ${grown} bytes in memory`,
  );
}

async function pass({ harness, spans }: Bench, messages: number): Promise<void> {
  for (let done = 0; done < messages; done += AT_ONCE) {
    const some = Math.min(AT_ONCE, messages - done);
    await Promise.all(Array.from({ length: some }, (_, number) => onePass(harness, number)));
    spans.clear();
  }
}

// A message in and one out; every tenth handler fails.
async function onePass(harness: Bench["harness"], number: number): Promise<void> {
  const unlucky = number % 10 === 0;
  await harness
    .receive(sender().headers, async () => {
      await harness.send(harness.message([]));
      if (unlucky) throw new Error("out of stock");
    })
    .catch((error: unknown) => {
      if (!unlucky) throw error;
    });
}

// `process.getActiveResourcesInfo` does not know timers that are unref'd, and those leak as well.
function watchTimers(): Disposable & { readonly live: ReadonlySet<number> } {
  const live = new Set<number>();
  const hook = createHook({
    init(id, type) {
      if (type === "Timeout") live.add(id);
    },
    destroy(id) {
      live.delete(id);
    },
  }).enable();
  return { live, [Symbol.dispose]: () => hook.disable() };
}

interface Holdings {
  readonly counts: ReadonlyMap<string, number>;
  /** Zero where the process runs without `--expose-gc`: an uncollected heap says nothing. */
  readonly heap: number;
}

async function holdings({ spans }: Bench, timers: ReadonlySet<number>): Promise<Holdings> {
  spans.clear();
  await immediate();
  const counts = new Map([["timers", timers.size]]);
  for (const resource of process.getActiveResourcesInfo()) {
    counts.set(resource, (counts.get(resource) ?? 0) + 1);
  }
  for (const event of process.eventNames()) {
    counts.set(`process.on(${String(event)})`, process.listenerCount(event));
  }
  if (globalThis.gc === undefined) return { counts, heap: 0 };
  await globalThis.gc({ type: "major", execution: "async" });
  return { counts, heap: process.memoryUsage().heapUsed };
}
