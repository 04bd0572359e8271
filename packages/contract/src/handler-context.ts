import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { setImmediate as immediate, setTimeout as timeout } from "node:timers/promises";
import { context } from "@opentelemetry/api";
import { sender } from "@traceferry/testkit";
import type { Adapter } from "./adapter.js";
import {
  type ContractCase,
  contractCase,
  entries,
  entry,
  type Fixtures,
  observe,
  receive,
  start,
} from "./fixtures.js";

/** Item 3: who sees which context. */
export function handlerContext(adapter: Adapter): ContractCase[] {
  return [
    contractCase(
      adapter,
      "whatever the handler awaits, emits or schedules sees its context",
      scheduled,
    ),
    contractCase(adapter, "twenty messages at once never see each other's context", interleaved),
    contractCase(adapter, "the caller's context is the caller's again after a send", callers),
  ];
}

async function scheduled(fixtures: Fixtures): Promise<void> {
  const from = sender();

  const { result = [] } = await receive(fixtures.harness, from.headers, everyWay);

  const { traceId, spanId } = entry(fixtures);
  for (const [way, observed] of result) {
    assert.deepEqual(observed, { traceId, spanId, baggage: from.entries }, `seen by ${way}`);
  }
}

async function everyWay(): Promise<[way: string, observed: ReturnType<typeof observe>][]> {
  const seen: [string, ReturnType<typeof observe>][] = [];
  const note = (way: string) => seen.push([way, observe()]);
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

async function interleaved(fixtures: Fixtures): Promise<void> {
  const senders = Array.from({ length: 20 }, (_, number) =>
    sender({ entries: { "cart.id": `c-${number}` } }),
  );

  const seen = await Promise.all(
    senders.map(async (from) => ({
      from,
      ...(await receive(fixtures.harness, from.headers, several)),
    })),
  );

  assert.equal(entries(fixtures).length, 20, "spans around twenty messages");
  for (const { from, observed, result = [] } of seen) {
    assert.equal(observed.traceId, from.traceId, "a handler ran in another message's trace");
    const span = entries(fixtures).find(({ spanId }) => spanId === observed.spanId);
    assert.equal(span?.parentSpanId, from.spanId, "a handler ran in another message's span");
    for (const later of [observed, ...result]) {
      assert.deepEqual(
        later,
        { ...observed, baggage: from.entries },
        "a handler's context changed",
      );
    }
  }
}

async function several(): Promise<ReturnType<typeof observe>[]> {
  const seen: ReturnType<typeof observe>[] = [];
  for (let turn = 0; turn < 5; turn++) {
    await immediate();
    seen.push(observe());
  }
  return seen;
}

async function callers({ harness, spans }: Fixtures): Promise<void> {
  const caller = start(spans);
  await context.with(caller.context, async () => {
    const before = observe();
    const sending = harness.send(harness.message([]));
    assert.deepEqual(observe(), before, "another context is active while the send is under way");
    await sending;
    assert.deepEqual(observe(), before, "another context is active after the send");
    await harness.sendFailing(harness.message([])).catch(() => undefined);
    assert.deepEqual(observe(), before, "another context is active after a failed send");
  });
  caller.span.end();
  assert.equal(observe().traceId, undefined, "a context stayed active");
}
