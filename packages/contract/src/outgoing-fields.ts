import assert from "node:assert/strict";
import { context } from "@opentelemetry/api";
import { type Headers, sender } from "@traceferry/testkit";
import type { Adapter, Harness, SentMessage } from "./adapter.js";
import {
  type ContractCase,
  contractCase,
  type Fixtures,
  outgoingSpan,
  outgoingSpans,
  startCallerSpan,
} from "./fixtures.js";
import {
  canCarry,
  propagatedContext,
  userHeaders,
  withoutPropagationFields,
  withUpperCaseNames,
} from "./headers.js";
import { receiveAndSend, sendInSpan } from "./messages.js";

const REPEATED_HEADERS: Headers = [
  ["x-item", "tea"],
  ["x-tenant", "acme"],
  ["x-item", "cake"],
];

/** The fields that are injected, and the caller's message, which is not changed. */
export function outgoingFields(adapter: Adapter): ContractCase[] {
  const stale = staleHeaders(adapter);
  return [
    contractCase(adapter, "the traceparent that is sent names the outgoing span", assertInjected),
    contractCase(adapter, "a send outside of any trace starts one", assertRootSend),
    contractCase(adapter, "fields of an earlier trace are replaced", (fixtures) =>
      assertReplaced(fixtures, stale),
    ),
    contractCase(
      adapter,
      "the user's headers are sent as they are without the adapter",
      (fixtures) => assertHeadersKept(fixtures, userHeaders(adapter)),
    ),
    ...repeatedUserHeader(adapter),
    contractCase(adapter, "the user's body is sent as it is without the adapter", assertBodyKept),
    contractCase(
      adapter,
      "a send calls the transport once, and before it returns",
      assertSentSynchronously,
    ),
    contractCase(adapter, "the caller's message is not changed", (fixtures) =>
      assertNotChanged(fixtures, stale, false),
    ),
    contractCase(adapter, "a frozen message can be sent", (fixtures) =>
      assertNotChanged(fixtures, stale, true),
    ),
    contractCase(adapter, "a message sent twice gets a new context each time", assertSentTwice),
    contractCase(
      adapter,
      "a message sent concurrently from two traces gets the context of each",
      assertSentConcurrently,
    ),
    contractCase(
      adapter,
      "a message that the handler sends continues the sender's trace",
      assertSendContinues,
    ),
  ];
}

function repeatedUserHeader(adapter: Adapter): ContractCase[] {
  if (adapter.repeatedUserHeader === "one") return [];
  return [
    contractCase(adapter, "two user headers of one name are both sent", (fixtures) =>
      assertHeadersKept(fixtures, REPEATED_HEADERS),
    ),
  ];
}

// As many spellings as the transport can hold at once.
function staleHeaders(adapter: Adapter): Headers {
  const own = userHeaders(adapter);
  const lowerCase = sender().headers;
  const upperCase = withUpperCaseNames(sender().headers);
  const titleCase: Headers = [["TraceParent", sender().traceparent]];
  const all: Headers = [...own, ...lowerCase, ...upperCase, ...titleCase];
  return canCarry(adapter, all) ? all : [...own, ...lowerCase];
}

async function assertInjected(fixtures: Fixtures): Promise<void> {
  const { harness } = fixtures;

  const { headers, traceId, spanId } = await sendInSpan(fixtures, harness.message([]));

  const span = outgoingSpan(fixtures);
  const { flags, ...injected } = propagatedContext(headers);
  assert.deepEqual(injected, { traceId, spanId: span.spanId });
  assert.equal(Number.parseInt(flags, 16) & 1, 1, "a sampled span was sent as unsampled");
  assert.equal(span.traceId, traceId);
  assert.equal(span.parentSpanId, spanId, "the outgoing span is no child of the caller's");
}

async function assertRootSend(fixtures: Fixtures): Promise<void> {
  const { headers } = await fixtures.harness.send(fixtures.harness.message([]));

  const span = outgoingSpan(fixtures);
  assert.equal(span.parentSpanId, undefined);
  assert.equal(propagatedContext(headers).spanId, span.spanId);
}

async function assertReplaced(fixtures: Fixtures, stale: Headers): Promise<void> {
  const { headers, traceId } = await sendInSpan(fixtures, fixtures.harness.message(stale));

  const sent = propagatedContext(headers);
  assert.equal(sent.traceId, traceId, "the traceparent of an earlier trace was sent");
  assert.equal(sent.tracestate, undefined, "the tracestate of an earlier trace was sent");
  assert.equal(sent.baggage, undefined, "the baggage of an earlier trace was sent");
}

async function assertHeadersKept(fixtures: Fixtures, own: Headers): Promise<void> {
  const { harness } = fixtures;
  const { headers: uninstrumented } = await harness.sendUninstrumented(harness.message(own));

  const { headers } = await sendInSpan(fixtures, harness.message(own));

  for (const [key, value] of own) {
    assert.ok(
      uninstrumented.some((header) => header[0] === key && header[1] === value),
      `the harness lost ${key}: its messages must keep the headers they are made with`,
    );
  }
  assert.deepEqual(withoutPropagationFields(headers), withoutPropagationFields(uninstrumented));
}

async function assertBodyKept(fixtures: Fixtures): Promise<void> {
  const { harness, adapter } = fixtures;
  const message = () => harness.message(userHeaders(adapter));
  const uninstrumented = await harness.sendUninstrumented(message());

  const sent = await sendInSpan(fixtures, message());

  assert.ok(uninstrumented.body !== undefined, "the harness shows no body");
  assert.deepEqual(sent.body, uninstrumented.body, "the body that was sent");
}

// The order of a user's sends must not depend on the adapter.
async function assertSentSynchronously({ harness }: Fixtures): Promise<void> {
  const uninstrumented = await isSentAtOnce(harness, () =>
    harness.sendUninstrumented(harness.message([])),
  );

  const instrumented = await isSentAtOnce(harness, () => harness.send(harness.message([])));

  assert.ok(
    uninstrumented,
    "the harness defers its uninstrumented sends, and cannot tell whether the adapter does",
  );
  assert.ok(
    instrumented,
    "the send was deferred: the transport was not called when the call returned",
  );
}

async function isSentAtOnce(harness: Harness, send: () => Promise<SentMessage>): Promise<boolean> {
  const before = harness.transportSends();
  const sending = send();
  const atOnce = harness.transportSends() > before;
  await sending;
  assert.equal(harness.transportSends() - before, 1, "calls of the transport for one send");
  return atOnce;
}

async function assertNotChanged(
  fixtures: Fixtures,
  stale: Headers,
  frozen: boolean,
): Promise<void> {
  const { harness } = fixtures;
  const message = harness.message(stale, frozen);
  const before = harness.snapshot(message);

  const { headers } = await sendInSpan(fixtures, message);

  assert.deepEqual(harness.snapshot(message), before, "the caller's message was changed");
  assert.equal(propagatedContext(headers).spanId, outgoingSpan(fixtures).spanId);
}

async function assertSentTwice(fixtures: Fixtures): Promise<void> {
  const message = fixtures.harness.message(userHeaders(fixtures.adapter));
  const caller = startCallerSpan(fixtures.spans);
  const send = () => context.with(caller.context, () => fixtures.harness.send(message));

  const first = propagatedContext((await send()).headers);
  const second = propagatedContext((await send()).headers);
  caller.span.end();

  const spanIds = outgoingSpans(fixtures).map((span) => span.spanId);
  assert.deepEqual([first.spanId, second.spanId], spanIds, "one span and one context per send");
  assert.equal(second.traceId, caller.span.spanContext().traceId);
}

async function assertSentConcurrently(fixtures: Fixtures): Promise<void> {
  const message = fixtures.harness.message(userHeaders(fixtures.adapter));

  const sent = await Promise.all([sendInSpan(fixtures, message), sendInSpan(fixtures, message)]);

  const traceIds = sent.map(({ headers }) => propagatedContext(headers).traceId).sort();
  assert.deepEqual(traceIds, sent.map(({ traceId }) => traceId).sort(), "one context per send");
}

async function assertSendContinues(fixtures: Fixtures): Promise<void> {
  const from = sender();

  const { observed, sent } = await receiveAndSend(fixtures, from.headers);

  const span = outgoingSpan(fixtures);
  assert.equal(span.traceId, from.traceId, "the trace breaks between two hops");
  assert.equal(span.parentSpanId, observed.spanId, "the send is no child of the handler's span");
  assert.equal(propagatedContext(sent).spanId, span.spanId);
}
