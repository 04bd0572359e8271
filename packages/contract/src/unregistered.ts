import assert from "node:assert/strict";
import { type Headers, sender } from "@traceferry/testkit";
import type { Adapter, SentMessage } from "./adapter.js";
import { type ContractCase, contractCase, type Fixtures, unregisteredCase } from "./fixtures.js";
import { propagatedContext, userHeaders, withoutPropagationFields } from "./headers.js";
import { receive } from "./messages.js";

const PROPAGATION_ONLY = { record: { provider: false } };

type UnregisteredFixtures = Omit<Fixtures, "spans">;

/** Nothing is registered on the API, or everything but a tracer provider ("propagation only"). */
export function unregistered(adapter: Adapter): ContractCase[] {
  return [
    unregisteredCase(
      adapter,
      "with nothing registered a message is sent as it is without the adapter",
      assertSameBytes,
    ),
    unregisteredCase(
      adapter,
      "with nothing registered the handler runs, and its messages are sent unchanged",
      assertSameBytesInHandler,
    ),
    contractCase(
      adapter,
      "without a tracer provider a message is sent as it is without the adapter",
      assertSameBytes,
      PROPAGATION_ONLY,
    ),
    contractCase(
      adapter,
      "with neither a tracer provider nor a sender the handler's messages are sent unchanged",
      assertNothingInjected,
      PROPAGATION_ONLY,
    ),
    contractCase(
      adapter,
      "without a tracer provider the sender's context is relayed unchanged",
      (fixtures) => assertRelayed(fixtures, "01"),
      PROPAGATION_ONLY,
    ),
    contractCase(
      adapter,
      "without a tracer provider an unsampled sender's context is relayed unchanged",
      (fixtures) => assertRelayed(fixtures, "00"),
      PROPAGATION_ONLY,
    ),
  ];
}

// The caller forwards the fields of another sender: with nothing to inject they must be sent unchanged.
function forwardedHeaders({ adapter }: UnregisteredFixtures): Headers {
  return [...userHeaders(adapter), ...sender().headers];
}

interface BothWays {
  readonly sent: SentMessage;
  readonly uninstrumented: SentMessage;
}

async function sendBothWays(
  { harness }: UnregisteredFixtures,
  headers: Headers,
): Promise<BothWays> {
  return {
    sent: await harness.send(harness.message(headers)),
    uninstrumented: await harness.sendUninstrumented(harness.message(headers)),
  };
}

async function assertSameBytes(fixtures: UnregisteredFixtures): Promise<void> {
  for (const headers of [[], userHeaders(fixtures.adapter), forwardedHeaders(fixtures)]) {
    const { sent, uninstrumented } = await sendBothWays(fixtures, headers);
    assert.deepEqual(sent, uninstrumented);
  }
}

async function assertSameBytesInHandler(fixtures: UnregisteredFixtures): Promise<void> {
  for (const headers of [[], sender().headers]) {
    const own = userHeaders(fixtures.adapter);
    const { result } = await receive(fixtures.harness, headers, () => sendBothWays(fixtures, own));
    assert.deepEqual(result?.sent, result?.uninstrumented);
  }
}

async function assertNothingInjected(fixtures: Fixtures): Promise<void> {
  const { result } = await receive(fixtures.harness, [], () =>
    sendBothWays(fixtures, forwardedHeaders(fixtures)),
  );

  assert.deepEqual(result?.sent, result?.uninstrumented);
}

async function assertRelayed(fixtures: Fixtures, flags: string): Promise<void> {
  const from = sender({ flags });

  const { result } = await receive(fixtures.harness, from.headers, () =>
    sendBothWays(fixtures, forwardedHeaders(fixtures)),
  );

  const { traceId, spanId, tracestate, baggage } = from;
  const { headers: sent = [] } = result?.sent ?? {};
  assert.deepEqual(propagatedContext(sent), { traceId, spanId, flags, tracestate, baggage });
  const { headers: uninstrumented = [] } = result?.uninstrumented ?? {};
  assert.deepEqual(withoutPropagationFields(sent), withoutPropagationFields(uninstrumented));
}
