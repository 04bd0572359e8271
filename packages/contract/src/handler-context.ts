import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { setImmediate as immediate, setTimeout as timeout } from "node:timers/promises";
import { context } from "@opentelemetry/api";
import { sender } from "@traceferry/testkit";
import type { Adapter } from "./adapter.js";
import {
  type ContractCase,
  contractCase,
  type Fixtures,
  incomingSpan,
  incomingSpans,
  startCallerSpan,
} from "./fixtures.js";
import { type ObservedContext, observe, receive } from "./messages.js";

/** The handler and all that it starts see the message's context, and the caller sees its own. */
export function handlerContext(adapter: Adapter): ContractCase[] {
  return [
    contractCase(
      adapter,
      "everything that the handler awaits, emits or schedules sees its context",
      assertSeenEverywhere,
    ),
    contractCase(
      adapter,
      "twenty concurrent messages never see each other's context",
      assertIsolated,
    ),
    contractCase(
      adapter,
      "the caller's context is active again after a send",
      assertCallerContextRestored,
    ),
  ];
}

async function assertSeenEverywhere(fixtures: Fixtures): Promise<void> {
  const from = sender();

  const { result = [] } = await receive(fixtures.harness, from.headers, observeEverywhere);

  const { traceId, spanId } = incomingSpan(fixtures);
  for (const [where, observed] of result) {
    assert.deepEqual(observed, { traceId, spanId, baggage: from.entries }, `seen by ${where}`);
  }
}

async function observeEverywhere(): Promise<[where: string, observed: ObservedContext][]> {
  const all: [string, ObservedContext][] = [];
  const record = (where: string) => all.push([where, observe()]);
  await null;
  record("code after an await");
  await timeout(0);
  record("a timer");
  await immediate();
  record("an immediate");
  await new Promise<void>((done) =>
    process.nextTick(() => {
      record("the next tick");
      done();
    }),
  );
  await new Promise<void>((done) =>
    queueMicrotask(() => {
      record("a microtask");
      done();
    }),
  );
  const emitter = new EventEmitter().on("stocked", () => record("a listener"));
  emitter.emit("stocked");
  for await (const _ of ticks()) record("a loop over an async generator");
  await Promise.reject(new Error("caught at once")).catch(() => record("a catch"));
  return all;
}

async function* ticks(): AsyncGenerator<number> {
  for (let tick = 0; tick < 2; tick++) {
    await immediate();
    yield tick;
  }
}

async function assertIsolated(fixtures: Fixtures): Promise<void> {
  const senders = Array.from({ length: 20 }, (_, number) =>
    sender({ entries: { "cart.id": `c-${number}` } }),
  );

  const received = await Promise.all(
    senders.map(async (from) => ({
      from,
      ...(await receive(fixtures.harness, from.headers, observeRepeatedly)),
    })),
  );

  const spans = incomingSpans(fixtures);
  assert.equal(spans.length, 20, "spans around twenty messages");
  for (const { from, observed, result = [] } of received) {
    assert.equal(observed.traceId, from.traceId, "a handler ran in another message's trace");
    const span = spans.find(({ spanId }) => spanId === observed.spanId);
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

async function observeRepeatedly(): Promise<ObservedContext[]> {
  const all: ObservedContext[] = [];
  for (let turn = 0; turn < 5; turn++) {
    await immediate();
    all.push(observe());
  }
  return all;
}

async function assertCallerContextRestored({ harness, spans }: Fixtures): Promise<void> {
  const caller = startCallerSpan(spans);
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
