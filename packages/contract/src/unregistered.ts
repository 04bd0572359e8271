import assert from "node:assert/strict";
import { type Headers, sender } from "@traceferry/testkit";
import type { Adapter, SentMessage } from "./adapter.js";
import {
  type Bench,
  bareScene,
  type ContractCase,
  carried,
  others,
  receive,
  scene,
  usersOwn,
} from "./fixtures.js";

const PROPAGATION_ONLY = { record: { provider: false } };

/** Item 6: nothing registered, and propagation only. */
export function quiet(adapter: Adapter): ContractCase[] {
  return [
    bareScene(
      adapter,
      "with nothing registered a message leaves as it does without the adapter",
      sameBytes,
    ),
    bareScene(
      adapter,
      "with nothing registered the handler runs, and what it sends is bare too",
      insideBare,
    ),
    scene(
      adapter,
      "without a tracer provider a message leaves as it does without the adapter",
      sameBytes,
      PROPAGATION_ONLY,
    ),
    scene(
      adapter,
      "without a tracer provider a message without a sender is followed by none",
      async (bench) => {
        const { result } = await receive(bench.harness, [], () => both(bench, forwarded(bench)));
        assert.deepEqual(result?.sent, result?.bare);
      },
      PROPAGATION_ONLY,
    ),
    scene(
      adapter,
      "without a tracer provider the sender is relayed as it came",
      (bench) => relayed(bench),
      PROPAGATION_ONLY,
    ),
    scene(
      adapter,
      "without a tracer provider an unsampled sender is relayed as it came",
      (bench) => relayed(bench, "00"),
      PROPAGATION_ONLY,
    ),
  ];
}

type Unrecorded = Omit<Bench, "spans">;

// The caller forwards what somebody else sent: with nothing to inject it must pass untouched.
function forwarded({ adapter }: Unrecorded): Headers {
  return [...usersOwn(adapter), ...sender().headers];
}

async function both(
  { harness }: Unrecorded,
  headers: Headers,
): Promise<{ readonly sent: SentMessage; readonly bare: SentMessage }> {
  return {
    sent: await harness.send(harness.message(headers)),
    bare: await harness.sendUninstrumented(harness.message(headers)),
  };
}

async function sameBytes(bench: Unrecorded): Promise<void> {
  for (const headers of [[], usersOwn(bench.adapter), forwarded(bench)]) {
    const { sent, bare } = await both(bench, headers);
    assert.deepEqual(sent, bare);
  }
}

async function insideBare(bench: Unrecorded): Promise<void> {
  for (const headers of [[], sender().headers]) {
    const own = usersOwn(bench.adapter);
    const { result } = await receive(bench.harness, headers, () => both(bench, own));
    assert.deepEqual(result?.sent, result?.bare);
  }
}

async function relayed(bench: Bench, flags = "01"): Promise<void> {
  const from = sender({ flags });

  const { result } = await receive(bench.harness, from.headers, () =>
    both(bench, forwarded(bench)),
  );

  const { traceId, spanId, tracestate, baggage } = from;
  const { headers: sent = [] } = result?.sent ?? {};
  assert.deepEqual(carried(sent), { traceId, spanId, flags, tracestate, baggage });
  const { headers: bare = [] } = result?.bare ?? {};
  assert.deepEqual(others(sent), others(bare));
}
