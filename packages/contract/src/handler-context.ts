import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { setImmediate as immediate, setTimeout as timeout } from "node:timers/promises";
import { context } from "@opentelemetry/api";
import { sender } from "@traceferry/testkit";
import type { Adapter } from "./adapter.js";
import {
  type Bench,
  type ContractCase,
  entries,
  entry,
  look,
  receive,
  scene,
  start,
} from "./fixtures.js";

/** Item 3: who sees which context. */
export function seeing(adapter: Adapter): ContractCase[] {
  return [
    scene(adapter, "whatever the handler awaits, emits or schedules sees its context", scheduled),
    scene(adapter, "twenty messages at once never see each other's context", interleaved),
    scene(adapter, "the caller's context is the caller's again after a send", callers),
  ];
}

async function scheduled(bench: Bench): Promise<void> {
  const from = sender();

  const { result = [] } = await receive(bench.harness, from.headers, everyWay);

  const { traceId, spanId } = entry(bench);
  for (const [way, sight] of result) {
    assert.deepEqual(sight, { traceId, spanId, baggage: from.entries }, `seen by ${way}`);
  }
}

async function everyWay(): Promise<[way: string, sight: ReturnType<typeof look>][]> {
  const seen: [string, ReturnType<typeof look>][] = [];
  const note = (way: string) => seen.push([way, look()]);
  await null;
  note("what is awaited");
  await timeout(0);
  note("a timer");
  await immediate();
  note("an immediate");
  await new Promise<void>((done) =>
    process.nextTick(() => {
      note("the next tick");
      done();
    }),
  );
  await new Promise<void>((done) =>
    queueMicrotask(() => {
      note("a microtask");
      done();
    }),
  );
  const emitter = new EventEmitter().on("stocked", () => note("a listener"));
  emitter.emit("stocked");
  for await (const _ of ticks()) note("a loop over an async generator");
  await Promise.reject(new Error("caught at once")).catch(() => note("a catch"));
  return seen;
}

async function* ticks(): AsyncGenerator<number> {
  for (let tick = 0; tick < 2; tick++) {
    await immediate();
    yield tick;
  }
}

async function interleaved(bench: Bench): Promise<void> {
  const senders = Array.from({ length: 20 }, (_, number) =>
    sender({ entries: { "cart.id": `c-${number}` } }),
  );

  const seen = await Promise.all(
    senders.map(async (from) => ({
      from,
      ...(await receive(bench.harness, from.headers, several)),
    })),
  );

  assert.equal(entries(bench).length, 20, "spans around twenty messages");
  for (const { from, sight, result = [] } of seen) {
    assert.equal(sight.traceId, from.traceId, "a handler ran in another message's trace");
    const span = entries(bench).find(({ spanId }) => spanId === sight.spanId);
    assert.equal(span?.parentSpanId, from.spanId, "a handler ran in another message's span");
    for (const later of [sight, ...result]) {
      assert.deepEqual(later, { ...sight, baggage: from.entries }, "a handler's context changed");
    }
  }
}

async function several(): Promise<ReturnType<typeof look>[]> {
  const seen: ReturnType<typeof look>[] = [];
  for (let turn = 0; turn < 5; turn++) {
    await immediate();
    seen.push(look());
  }
  return seen;
}

async function callers({ harness, spans }: Bench): Promise<void> {
  const caller = start(spans);
  await context.with(caller.context, async () => {
    const before = look();
    const sending = harness.send(harness.message([]));
    assert.deepEqual(look(), before, "another context is active while the send is under way");
    await sending;
    assert.deepEqual(look(), before, "another context is active after the send");
    await harness.sendFailing(harness.message([])).catch(() => undefined);
    assert.deepEqual(look(), before, "another context is active after a failed send");
  });
  caller.span.end();
  assert.equal(look().traceId, undefined, "a context stayed active");
}
