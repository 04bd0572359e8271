import assert from "node:assert/strict";
import { createHook } from "node:async_hooks";
import { setImmediate as immediate } from "node:timers/promises";
import { context, trace } from "@opentelemetry/api";
import { sender } from "@traceferry/testkit";
import type { Adapter, Harness } from "./adapter.js";
import { type ContractCase, contractCase, type Fixtures, MINUTE } from "./fixtures.js";
import { collectedHeap, type MessageObjects, WeakObjects } from "./heap.js";

const CONCURRENT = 50;
// A connection may keep the context that was active when it was opened, and a client its last few messages.
const TOLERATED = 10;
// Less than one kept span, context, message or closure weighs.
const BYTES_PER_MESSAGE = 150;
// The first round warms up, and its objects are held weakly. The heap varies, so that a slope needs more than two
// measurements; and it grows for a while where code is still compiled, and protocols keep a history. So there are
// more rounds as long as it grows, and the later two thirds count: warming up ends, and a leak goes on for ever.
const ROUNDS = 5;
const MAX_ROUNDS = 40;

/** Messages leave no span, timer, listener or memory behind. */
export function leaks(adapter: Adapter): ContractCase[] {
  const messages = adapter.leakMessages ?? 10_000;
  return [
    contractCase(
      adapter,
      `${messages} messages leave no span, timer, listener or memory behind`,
      (fixtures) => assertNoLeak(fixtures, Math.ceil(messages / ROUNDS)),
      { timeout: 5 * MINUTE },
    ),
  ];
}

async function assertNoLeak(fixtures: Fixtures, messages: number): Promise<void> {
  using timers = watchTimers();
  const early = new WeakObjects();
  await passMessages(fixtures, messages, (objects) => early.add(objects));
  const before = await measure(fixtures, timers.live);
  const heaps = [before.heap];
  for (let round = 1; round < MAX_ROUNDS; round++) {
    if (round >= ROUNDS && !isGrowing(heaps, messages)) break;
    await passMessages(fixtures, messages);
    const { resources, heap } = await measure(fixtures, timers.live);
    heaps.push(heap);

    for (const [resource, count] of resources) {
      const more = count - (before.resources.get(resource) ?? 0);
      assert.ok(more < TOLERATED, `${round * messages} messages left ${more} more of ${resource}`);
    }
  }
  const alive = early
    .countAlive()
    .filter(([, count]) => count >= TOLERATED)
    .map(([kind, count]) => `${count} times ${kind}`);
  assert.deepEqual(alive, [], `${messages} early messages left in memory: ${alive.join(", ")}`);
  const bytes = Math.round(laterSlope(heaps) / messages);
  assert.ok(
    !isGrowing(heaps, messages),
    `each message leaves ${bytes} bytes in memory; after every ${messages}: ${heaps.join(", ")}`,
  );
}

function isGrowing(heaps: readonly number[], messages: number): boolean {
  return laterSlope(heaps) >= messages * BYTES_PER_MESSAGE;
}

function laterSlope(heaps: readonly number[]): number {
  return slope(heaps.slice(-Math.max(ROUNDS, Math.ceil((heaps.length * 2) / 3))));
}

// The growth from one measurement to the next by the Theil-Sen estimator, which single outliers do not move.
function slope(heaps: readonly number[]): number {
  const slopes = heaps.flatMap((later, at) =>
    heaps.slice(0, at).map((earlier, from) => (later - earlier) / (at - from)),
  );
  slopes.sort((one, other) => one - other);
  return slopes[Math.floor(slopes.length / 2)] ?? 0;
}

async function passMessages(
  { harness, spans }: Fixtures,
  messages: number,
  watch?: (objects: MessageObjects) => void,
): Promise<void> {
  for (let passed = 0; passed < messages; passed += CONCURRENT) {
    const length = Math.min(CONCURRENT, messages - passed);
    await Promise.all(Array.from({ length }, (_, number) => passMessage(harness, number, watch)));
    spans.clear();
  }
}

// Receives a message whose handler sends one; every tenth handler fails.
async function passMessage(
  harness: Harness,
  number: number,
  watch?: (objects: MessageObjects) => void,
): Promise<void> {
  const fails = number % 10 === 0;
  const handler = async () => {
    const message = harness.message([]);
    const error = fails ? new Error("out of stock") : undefined;
    watch?.({ handler, context: context.active(), span: trace.getActiveSpan(), message, error });
    await harness.send(message);
    if (error !== undefined) throw error;
  };
  await harness.receive(sender().headers, handler).catch((error: unknown) => {
    if (!fails) throw error;
  });
}

// `process.getActiveResourcesInfo` leaves out timers that are unref'd, and those leak as well.
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

interface Measurement {
  /** Timers, handles and listeners of the process, by name. */
  readonly resources: ReadonlyMap<string, number>;
  /** Bytes. */
  readonly heap: number;
}

async function measure({ spans }: Fixtures, timers: ReadonlySet<number>): Promise<Measurement> {
  spans.clear();
  await immediate();
  const resources = new Map([["timers", timers.size]]);
  for (const resource of process.getActiveResourcesInfo()) {
    resources.set(resource, (resources.get(resource) ?? 0) + 1);
  }
  for (const event of process.eventNames()) {
    resources.set(`process.on(${String(event)})`, process.listenerCount(event));
  }
  return { resources, heap: await collectedHeap() };
}
