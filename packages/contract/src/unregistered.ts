import assert from "node:assert/strict";
import { type Headers, sender } from "@traceferry/testkit";
import type { Adapter, SentMessage } from "./adapter.js";
import {
  type ContractCase,
  carried,
  contractCase,
  type Fixtures,
  others,
  receive,
  unregisteredCase,
  usersOwn,
} from "./fixtures.js";

const PROPAGATION_ONLY = { record: { provider: false } };

/** Item 6: nothing registered, and propagation only. */
export function unregistered(adapter: Adapter): ContractCase[] {
  return [
    unregisteredCase(
      adapter,
      "with nothing registered a message leaves as it does without the adapter",
      sameBytes,
    ),
    unregisteredCase(
      adapter,
      "with nothing registered the handler runs, and what it sends is bare too",
      insideBare,
    ),
    contractCase(
      adapter,
      "without a tracer provider a message leaves as it does without the adapter",
      sameBytes,
      PROPAGATION_ONLY,
    ),
    contractCase(
      adapter,
      "without a tracer provider a message without a sender is followed by none",
      async (fixtures) => {
        const { result } = await receive(fixtures.harness, [], () =>
          both(fixtures, forwarded(fixtures)),
        );
        assert.deepEqual(result?.sent, result?.bare);
      },
      PROPAGATION_ONLY,
    ),
    contractCase(
      adapter,
      "without a tracer provider the sender is relayed as it came",
      (fixtures) => relayed(fixtures),
      PROPAGATION_ONLY,
    ),
    contractCase(
      adapter,
      "without a tracer provider an unsampled sender is relayed as it came",
      (fixtures) => relayed(fixtures, "00"),
      PROPAGATION_ONLY,
    ),
  ];
}

type UnregisteredFixtures = Omit<Fixtures, "spans">;

// The caller forwards what somebody else sent: with nothing to inject it must pass untouched.
function forwarded({ adapter }: UnregisteredFixtures): Headers {
  return [...usersOwn(adapter), ...sender().headers];
}

async function both(
  { harness }: UnregisteredFixtures,
  headers: Headers,
): Promise<{ readonly sent: SentMessage; readonly bare: SentMessage }> {
  return {
    sent: await harness.send(harness.message(headers)),
    bare: await harness.sendUninstrumented(harness.message(headers)),
  };
}

async function sameBytes(fixtures: UnregisteredFixtures): Promise<void> {
  for (const headers of [[], usersOwn(fixtures.adapter), forwarded(fixtures)]) {
    const { sent, bare } = await both(fixtures, headers);
    assert.deepEqual(sent, bare);
  }
}

async function insideBare(fixtures: UnregisteredFixtures): Promise<void> {
  for (const headers of [[], sender().headers]) {
    const own = usersOwn(fixtures.adapter);
    const { result } = await receive(fixtures.harness, headers, () => both(fixtures, own));
    assert.deepEqual(result?.sent, result?.bare);
  }
}

async function relayed(fixtures: Fixtures, flags = "01"): Promise<void> {
  const from = sender({ flags });

  const { result } = await receive(fixtures.harness, from.headers, () =>
    both(fixtures, forwarded(fixtures)),
  );

  const { traceId, spanId, tracestate, baggage } = from;
  const { headers: sent = [] } = result?.sent ?? {};
  assert.deepEqual(carried(sent), { traceId, spanId, flags, tracestate, baggage });
  const { headers: bare = [] } = result?.bare ?? {};
  assert.deepEqual(others(sent), others(bare));
}
