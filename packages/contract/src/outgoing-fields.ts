import assert from "node:assert/strict";
import { context } from "@opentelemetry/api";
import { type Headers, sender } from "@traceferry/testkit";
import type { Adapter, Harness, SentMessage } from "./adapter.js";
import {
  type ContractCase,
  canCarry,
  carried,
  contractCase,
  exit,
  exits,
  type Fixtures,
  others,
  passOn,
  sendFrom,
  start,
  usersOwn,
} from "./fixtures.js";

/** Item 4: what goes out, and what stays as it was. */
export function outgoingFields(adapter: Adapter): ContractCase[] {
  const stale = staleHeaders(adapter);
  return [
    contractCase(adapter, "what leaves names the span around the send", injected),
    contractCase(adapter, "a send outside of any trace starts one", outside),
    contractCase(adapter, "fields of an earlier trace are gone from what leaves", (fixtures) =>
      replaced(fixtures, stale),
    ),
    contractCase(
      adapter,
      "the user's own headers leave as they would without the adapter",
      (fixtures) => ownKept(fixtures, usersOwn(adapter)),
    ),
    ...(adapter.repeatedUserHeader === "one"
      ? []
      : [
          contractCase(adapter, "two headers of the user's under one name both leave", (fixtures) =>
            ownKept(fixtures, REPEATED),
          ),
        ]),
    contractCase(adapter, "the user's body leaves as it would without the adapter", bodyKept),
    contractCase(adapter, "a send calls the transport once, and before it returns", prompt),
    contractCase(adapter, "the caller's message is not changed", (fixtures) =>
      unchanged(fixtures, stale, false),
    ),
    contractCase(adapter, "a frozen message can be sent", (fixtures) =>
      unchanged(fixtures, stale, true),
    ),
    contractCase(adapter, "a message sent twice gets a context each time", twice),
    contractCase(
      adapter,
      "a message sent from two traces at once gets a context each",
      concurrently,
    ),
    contractCase(adapter, "what the handler sends continues the sender's trace", onwards),
  ];
}

// As many spellings as the transport can hold at once.
function staleHeaders(adapter: Adapter): Headers {
  const own = usersOwn(adapter);
  const old = sender().headers;
  const shouted = sender().headers.map(([key, value]) => [key.toUpperCase(), value] as const);
  const titled: Headers = [["TraceParent", sender().traceparent]];
  const spelled: Headers = [...own, ...old, ...shouted, ...titled];
  return canCarry(adapter, spelled) ? spelled : [...own, ...old];
}

async function injected(fixtures: Fixtures): Promise<void> {
  const { harness } = fixtures;

  const { headers, traceId, spanId } = await sendFrom(fixtures, harness.message([]));

  const span = exit(fixtures);
  assert.deepEqual(carried(headers), {
    traceId,
    spanId: span.spanId,
    flags: carried(headers).flags,
  });
  assert.equal(
    Number.parseInt(carried(headers).flags, 16) & 1,
    1,
    "a sampled span left as unsampled",
  );
  assert.equal(span.traceId, traceId);
  assert.equal(span.parentSpanId, spanId, "the span around the send is no child of the caller");
}

async function outside(fixtures: Fixtures): Promise<void> {
  const { headers } = await fixtures.harness.send(fixtures.harness.message([]));

  const span = exit(fixtures);
  assert.equal(span.parentSpanId, undefined);
  assert.equal(carried(headers).spanId, span.spanId);
}

async function replaced(fixtures: Fixtures, stale: Headers): Promise<void> {
  const { headers, traceId } = await sendFrom(fixtures, fixtures.harness.message(stale));

  const left = carried(headers);
  assert.equal(left.traceId, traceId, "the traceparent of an earlier trace left");
  assert.equal(left.tracestate, undefined, "the tracestate of an earlier trace left");
  assert.equal(left.baggage, undefined, "the baggage of an earlier trace left");
}

const REPEATED: Headers = [
  ["x-item", "tea"],
  ["x-tenant", "acme"],
  ["x-item", "cake"],
];

async function ownKept(fixtures: Fixtures, own: Headers): Promise<void> {
  const { harness } = fixtures;
  const { headers: bare } = await harness.sendUninstrumented(harness.message(own));

  const { headers } = await sendFrom(fixtures, harness.message(own));

  for (const [key, value] of own) {
    assert.ok(
      bare.some((pair) => pair[0] === key && pair[1] === value),
      `the harness lost ${key}: its messages must keep the headers they are made with`,
    );
  }
  assert.deepEqual(others(headers), others(bare));
}

async function bodyKept(fixtures: Fixtures): Promise<void> {
  const { harness, adapter } = fixtures;
  const message = () => harness.message(usersOwn(adapter));
  const bare = await harness.sendUninstrumented(message());

  const sent = await sendFrom(fixtures, message());

  assert.ok(bare.body !== undefined, "the harness shows no body");
  assert.deepEqual(sent.body, bare.body, "the body that left");
}

// Who sends first is to be first: the order of a user's sends must not depend on the adapter.
async function prompt({ harness }: Fixtures): Promise<void> {
  const bare = await isCalledAtOnce(harness, () => harness.sendUninstrumented(harness.message([])));

  const traced = await isCalledAtOnce(harness, () => harness.send(harness.message([])));

  assert.ok(bare, "the harness puts off its bare sends, and cannot tell whether the adapter does");
  assert.ok(traced, "the send was put off: the transport was not called when the call returned");
}

async function isCalledAtOnce(
  harness: Harness,
  send: () => Promise<SentMessage>,
): Promise<boolean> {
  const before = harness.transportSends();
  const sending = send();
  const atOnce = harness.transportSends() > before;
  await sending;
  assert.equal(harness.transportSends() - before, 1, "calls of the transport for one send");
  return atOnce;
}

async function unchanged(fixtures: Fixtures, stale: Headers, frozen: boolean): Promise<void> {
  const { harness } = fixtures;
  const message = harness.message(stale, frozen);
  const before = harness.snapshot(message);

  const { headers } = await sendFrom(fixtures, message);

  assert.deepEqual(harness.snapshot(message), before, "the caller's message was changed");
  assert.equal(carried(headers).spanId, exit(fixtures).spanId);
}

async function twice(fixtures: Fixtures): Promise<void> {
  const message = fixtures.harness.message(usersOwn(fixtures.adapter));
  const caller = start(fixtures.spans);
  const send = () => context.with(caller.context, () => fixtures.harness.send(message));

  const first = carried((await send()).headers);
  const second = carried((await send()).headers);
  caller.span.end();

  const spanIds = exits(fixtures).map((span) => span.spanId);
  assert.deepEqual([first.spanId, second.spanId], spanIds, "one span and one context per send");
  assert.equal(second.traceId, caller.span.spanContext().traceId);
}

async function concurrently(fixtures: Fixtures): Promise<void> {
  const message = fixtures.harness.message(usersOwn(fixtures.adapter));

  const sent = await Promise.all([sendFrom(fixtures, message), sendFrom(fixtures, message)]);

  const left = sent.map(({ headers }) => carried(headers).traceId).sort();
  assert.deepEqual(left, sent.map(({ traceId }) => traceId).sort(), "one context per send");
}

async function onwards(fixtures: Fixtures): Promise<void> {
  const from = sender();

  const { observed, sent } = await passOn(fixtures, from.headers);

  const span = exit(fixtures);
  assert.equal(span.traceId, from.traceId, "the trace breaks between two hops");
  assert.equal(span.parentSpanId, observed.spanId, "the send is no child of the handler's span");
  assert.equal(carried(sent).spanId, span.spanId);
}
