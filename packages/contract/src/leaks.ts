import assert from "node:assert/strict";
import { createHook } from "node:async_hooks";
import { setImmediate as immediate } from "node:timers/promises";
import { context, trace } from "@opentelemetry/api";
import { sender } from "@traceferry/testkit";
import type { Adapter } from "./adapter.js";
import { type ContractCase, contractCase, type Fixtures, MINUTE } from "./fixtures.js";
import { collectedHeap, type Kept, WatchedObjects } from "./heap.js";

const AT_ONCE = 50;
// A connection may keep what was active when it was opened, a client its last few messages.
const FEW = 10;
// Below what one kept span, context, message or closure weighs.
const BYTES_PER_MESSAGE = 150;
// The first round warms up, and its objects are watched. A heap wobbles, so that a slope needs more than two
// measurements; and it grows for a while where code is still compiled. A leak shows in every run of rounds.
const ROUNDS = 5;
const MORE_ROUNDS = 10;

/** Item 8: nothing leaks. */
export function leaks(adapter: Adapter): ContractCase[] {
  const messages = adapter.leakMessages ?? 10_000;
  return [
    contractCase(
      adapter,
      `${messages} messages leave no span, timer, listener or memory behind`,
      (fixtures) => lasts(fixtures, Math.ceil(messages / ROUNDS)),
      { timeout: 5 * MINUTE },
    ),
  ];
}

async function lasts(fixtures: Fixtures, messages: number): Promise<void> {
  using timers = watchTimers();
  const watched = new WatchedObjects();
  await pass(fixtures, messages, (kept) => watched.add(kept));
  const before = await holdings(fixtures, timers.live);
  const heaps = [before.heap];
  for (let round = 1; round < ROUNDS + MORE_ROUNDS; round++) {
    if (round >= ROUNDS && slope(heaps.slice(-ROUNDS)) < messages * BYTES_PER_MESSAGE) break;
    await pass(fixtures, messages);
    const { counts, heap } = await holdings(fixtures, timers.live);
    heaps.push(heap);

    for (const [what, count] of counts) {
      const more = count - (before.counts.get(what) ?? 0);
      assert.ok(more < FEW, `${round * messages} messages left ${more} more of ${what}`);
    }
  }
  const left = watched
    .count()
    .filter(([, count]) => count >= FEW)
    .map(([what, count]) => `${count} times ${what}`);
  assert.deepEqual(left, [], `${messages} early messages left in memory: ${left.join(", ")}`);
  const bytes = Math.round(slope(heaps.slice(-ROUNDS)) / messages);
  assert.ok(
    bytes < BYTES_PER_MESSAGE,
    `each message leaves ${bytes} bytes in memory; after every ${messages}: ${heaps.join(", ")}`,
  );
}

/** The growth from one measurement to the next, as Theil and Sen reckon it: single ones that are off do no harm. */
function slope(heaps: readonly number[]): number {
  const slopes = heaps.flatMap((later, at) =>
    heaps.slice(0, at).map((earlier, from) => (later - earlier) / (at - from)),
  );
  slopes.sort((one, other) => one - other);
  return slopes[Math.floor(slopes.length / 2)] ?? 0;
}

async function pass(
  { harness, spans }: Fixtures,
  messages: number,
  watch?: (kept: Kept) => void,
): Promise<void> {
  for (let done = 0; done < messages; done += AT_ONCE) {
    const some = Math.min(AT_ONCE, messages - done);
    await Promise.all(Array.from({ length: some }, (_, number) => onePass(harness, number, watch)));
    spans.clear();
  }
}

// A message in and one out; every tenth handler fails.
async function onePass(
  harness: Fixtures["harness"],
  number: number,
  watch?: (kept: Kept) => void,
): Promise<void> {
  const unlucky = number % 10 === 0;
  const handler = async () => {
    const message = harness.message([]);
    const error = unlucky ? new Error("out of stock") : undefined;
    watch?.({ handler, context: context.active(), span: trace.getActiveSpan(), message, error });
    await harness.send(message);
    if (error !== undefined) throw error;
  };
  await harness.receive(sender().headers, handler).catch((error: unknown) => {
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
  readonly heap: number;
}

async function holdings({ spans }: Fixtures, timers: ReadonlySet<number>): Promise<Holdings> {
  spans.clear();
  await immediate();
  const counts = new Map([["timers", timers.size]]);
  for (const resource of process.getActiveResourcesInfo()) {
    counts.set(resource, (counts.get(resource) ?? 0) + 1);
  }
  for (const event of process.eventNames()) {
    counts.set(`process.on(${String(event)})`, process.listenerCount(event));
  }
  return { counts, heap: await collectedHeap() };
}
