import assert from "node:assert/strict";
import { context } from "@opentelemetry/api";
import { type Headers, sender } from "@traceferry/testkit";
import type { Adapter, Harness, SentMessage } from "./adapter.js";
import {
  type Bench,
  type ContractCase,
  canCarry,
  carried,
  exit,
  exits,
  others,
  passOn,
  scene,
  sendFrom,
  start,
  usersOwn,
} from "./fixtures.js";

/** Item 4: what goes out, and what stays as it was. */
export function leaving(adapter: Adapter): ContractCase[] {
  const stale = staleHeaders(adapter);
  return [
    scene(adapter, "what leaves names the span around the send", injected),
    scene(adapter, "a send outside of any trace starts one", outside),
    scene(adapter, "fields of an earlier trace are gone from what leaves", (bench) =>
      replaced(bench, stale),
    ),
    scene(adapter, "the user's own headers leave as they would without the adapter", (bench) =>
      ownKept(bench, usersOwn(adapter)),
    ),
    ...(adapter.repeatedUserHeader === "one"
      ? []
      : [
          scene(adapter, "two headers of the user's under one name both leave", (bench) =>
            ownKept(bench, REPEATED),
          ),
        ]),
    scene(adapter, "the user's body leaves as it would without the adapter", bodyKept),
    scene(adapter, "a send calls the transport once, and before it returns", prompt),
    scene(adapter, "the caller's message is not changed", (bench) =>
      unchanged(bench, stale, false),
    ),
    scene(adapter, "a frozen message can be sent", (bench) => unchanged(bench, stale, true)),
    scene(adapter, "a message sent twice gets a context each time", twice),
    scene(adapter, "a message sent from two traces at once gets a context each", concurrently),
    scene(adapter, "what the handler sends continues the sender's trace", onwards),
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

async function injected(bench: Bench): Promise<void> {
  const { harness } = bench;

  const { headers, traceId, spanId } = await sendFrom(bench, harness.message([]));

  const span = exit(bench);
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

async function outside(bench: Bench): Promise<void> {
  const { headers } = await bench.harness.send(bench.harness.message([]));

  const span = exit(bench);
  assert.equal(span.parentSpanId, undefined);
  assert.equal(carried(headers).spanId, span.spanId);
}

async function replaced(bench: Bench, stale: Headers): Promise<void> {
  const { headers, traceId } = await sendFrom(bench, bench.harness.message(stale));

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

async function ownKept(bench: Bench, own: Headers): Promise<void> {
  const { harness } = bench;
  const { headers: bare } = await harness.sendUninstrumented(harness.message(own));

  const { headers } = await sendFrom(bench, harness.message(own));

  for (const [key, value] of own) {
    assert.ok(
      bare.some((pair) => pair[0] === key && pair[1] === value),
      `the harness lost ${key}: its messages must keep the headers they are made with`,
    );
  }
  assert.deepEqual(others(headers), others(bare));
}

async function bodyKept(bench: Bench): Promise<void> {
  const { harness, adapter } = bench;
  const message = () => harness.message(usersOwn(adapter));
  const bare = await harness.sendUninstrumented(message());

  const sent = await sendFrom(bench, message());

  assert.ok(bare.body !== undefined, "the harness shows no body");
  assert.deepEqual(sent.body, bare.body, "the body that left");
}

// Who sends first is to be first: the order of a user's sends must not depend on the adapter.
async function prompt({ harness }: Bench): Promise<void> {
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

async function unchanged(bench: Bench, stale: Headers, frozen: boolean): Promise<void> {
  const { harness } = bench;
  const message = harness.message(stale, frozen);
  const before = harness.snapshot(message);

  const { headers } = await sendFrom(bench, message);

  assert.deepEqual(harness.snapshot(message), before, "the caller's message was changed");
  assert.equal(carried(headers).spanId, exit(bench).spanId);
}

async function twice(bench: Bench): Promise<void> {
  const message = bench.harness.message(usersOwn(bench.adapter));
  const caller = start(bench.spans);
  const send = () => context.with(caller.context, () => bench.harness.send(message));

  const first = carried((await send()).headers);
  const second = carried((await send()).headers);
  caller.span.end();

  const spanIds = exits(bench).map((span) => span.spanId);
  assert.deepEqual([first.spanId, second.spanId], spanIds, "one span and one context per send");
  assert.equal(second.traceId, caller.span.spanContext().traceId);
}

async function concurrently(bench: Bench): Promise<void> {
  const message = bench.harness.message(usersOwn(bench.adapter));

  const sent = await Promise.all([sendFrom(bench, message), sendFrom(bench, message)]);

  const left = sent.map(({ headers }) => carried(headers).traceId).sort();
  assert.deepEqual(left, sent.map(({ traceId }) => traceId).sort(), "one context per send");
}

async function onwards(bench: Bench): Promise<void> {
  const from = sender();

  const { sight, sent } = await passOn(bench, from.headers);

  const span = exit(bench);
  assert.equal(span.traceId, from.traceId, "the trace breaks between two hops");
  assert.equal(span.parentSpanId, sight.spanId, "the send is no child of the handler's span");
  assert.equal(carried(sent).spanId, span.spanId);
}
