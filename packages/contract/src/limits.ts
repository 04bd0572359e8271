import assert from "node:assert/strict";
import { context, propagation } from "@opentelemetry/api";
import { type Headers, sender } from "@traceferry/testkit";
import type { Adapter } from "./adapter.js";
import {
  type ContractCase,
  contractCase,
  type Fixtures,
  incomingSpan,
  startCallerSpan,
} from "./fixtures.js";
import { canCarry, propagatedContext, propagationBytes } from "./headers.js";
import { receiveAndSend } from "./messages.js";

const SHORT = "x".repeat(90);
const LONG = "x".repeat(200);
// Two members of tracestate and three of baggage, none of which fits into the slack. The slack is there because
// transports count their own bytes per field.
const TRACESTATE = ["rojo", "congo"].map((vendor) => `${vendor}=${LONG}`).join(",");
const ENTRIES = { first: LONG, second: LONG, third: LONG };
const SLACK = 100;
const TRACEPARENT_BYTES = 55 + "traceparent".length;
const TRACESTATE_BYTES = TRACESTATE.length + "tracestate".length;

/** Sizes and hostile headers: the options `maxBytes` and `baggage`, and senders that mean harm. */
export function limits(adapter: Adapter): ContractCase[] {
  return [...outgoingBudget(adapter), ...outgoingBaggage(adapter), ...hostileHeaders(adapter)];
}

function outgoingBudget(adapter: Adapter): ContractCase[] {
  const budget = (title: string, maxBytes: number, keeps: "tracestate" | "traceparent only") =>
    contractCase(
      adapter,
      title,
      (fixtures) => assertTrimmed(fixtures, maxBytes, keeps === "tracestate"),
      { options: { maxBytes } },
    );
  return [
    budget(
      "a tight budget drops baggage first",
      TRACEPARENT_BYTES + TRACESTATE_BYTES + SLACK,
      "tracestate",
    ),
    budget("a tighter budget drops tracestate next", TRACEPARENT_BYTES + SLACK, "traceparent only"),
    budget("no budget is so tight that traceparent is dropped", 1, "traceparent only"),
    contractCase(
      adapter,
      "by default the fields that are sent are within the adapter's budget",
      assertWithinDefault,
    ),
    contractCase(
      adapter,
      "a budget without limit lets a large baggage be sent whole",
      assertUnlimited,
      { options: { maxBytes: Number.POSITIVE_INFINITY } },
    ),
  ];
}

function outgoingBaggage(adapter: Adapter): ContractCase[] {
  return [
    contractCase(
      adapter,
      "with baggage turned off none is sent",
      (fixtures) => assertBaggageSent(fixtures, undefined),
      { options: { baggage: false } },
    ),
    contractCase(
      adapter,
      "an allow-list names the baggage that may be sent",
      (fixtures) => assertBaggageSent(fixtures, "tenant.id=acme"),
      { options: { baggage: ["tenant.id"] } },
    ),
  ];
}

function hostileHeaders(adapter: Adapter): ContractCase[] {
  return hostileSenders()
    .filter(({ headers }) => canCarry(adapter, headers))
    .map(({ name, headers }) =>
      contractCase(adapter, `${name} does no harm`, (fixtures) =>
        assertUnharmed(fixtures, headers),
      ),
    );
}

async function assertTrimmed(
  fixtures: Fixtures,
  maxBytes: number,
  keepsTracestate: boolean,
): Promise<void> {
  const from = sender({ tracestate: TRACESTATE, entries: ENTRIES });

  const { observed, sent } = await receiveAndSend(fixtures, from.headers);

  const next = propagatedContext(sent);
  assert.equal(next.traceId, from.traceId);
  assert.equal(
    next.tracestate,
    keepsTracestate ? from.tracestate : undefined,
    "tracestate that was sent",
  );
  assert.equal(next.baggage, undefined, `baggage was sent, the budget is ${maxBytes} bytes`);
  assert.deepEqual(
    observed.baggage,
    from.entries,
    "the outgoing budget took baggage from the handler",
  );
}

async function sendWithBaggage(
  { harness, spans }: Fixtures,
  entries: Readonly<Record<string, string>>,
): Promise<Headers> {
  const caller = startCallerSpan(spans);
  const baggage = propagation.createBaggage(
    Object.fromEntries(Object.entries(entries).map(([name, value]) => [name, { value }])),
  );
  const active = propagation.setBaggage(caller.context, baggage);
  const { headers } = await context.with(active, () => harness.send(harness.message([])));
  caller.span.end();
  return headers;
}

function manyEntries(count: number): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, number) => [`entry-${number}`, SHORT]),
  );
}

async function assertWithinDefault(fixtures: Fixtures): Promise<void> {
  const headers = await sendWithBaggage(fixtures, manyEntries(200));

  propagatedContext(headers);
  assertWithinBudget(fixtures, headers);
}

async function assertUnlimited(fixtures: Fixtures): Promise<void> {
  const headers = await sendWithBaggage(fixtures, manyEntries(60));

  const members = propagatedContext(headers).baggage?.split(",") ?? [];
  assert.equal(members.length, 60, "baggage members that were sent");
}

async function assertBaggageSent(fixtures: Fixtures, expected: string | undefined): Promise<void> {
  const headers = await sendWithBaggage(fixtures, sender().entries);

  assert.equal(propagatedContext(headers).baggage, expected, "baggage that was sent");
}

function assertWithinBudget({ adapter }: Fixtures, headers: Headers): void {
  const bytes = propagationBytes(headers);
  const { maxBytes } = adapter;
  assert.ok(bytes <= maxBytes, `${bytes} bytes were sent, the budget is ${maxBytes}`);
}

function hostileSenders(): { readonly name: string; readonly headers: Headers }[] {
  const traceparent = ["traceparent", sender().traceparent] as const;
  const withBaggage = (baggage: string): Headers => [traceparent, ["baggage", baggage]];
  const withTracestate = (state: string): Headers => [traceparent, ["tracestate", state]];
  const members = Array.from({ length: 100 }, (_, number) => `v${number}=${SHORT}`).join(",");
  return [
    { name: "a megabyte of baggage", headers: withBaggage(`a=${"x".repeat(1 << 20)}`) },
    {
      name: "a baggage of many thousand members",
      headers: withBaggage(Array.from({ length: 20_000 }, (_, n) => `k${n}=v`).join(",")),
    },
    { name: "a baggage of 6 kB", headers: withBaggage(`a=${"x".repeat(6000)}`) },
    { name: "a baggage with a line break", headers: withBaggage("a=1;x\r\ny,b=2") },
    {
      name: "a baggage with other control characters",
      headers: withBaggage("a=\u0000\u0007;p=\u001b"),
    },
    { name: "a baggage beyond ASCII", headers: withBaggage("a=caf\u00e9;p=\u20ac,b=\ud83d\ude80") },
    { name: "a malformed baggage", headers: withBaggage(",;==%zz,=,;a") },
    { name: "a baggage that names __proto__", headers: withBaggage("__proto__=polluted,a=1") },
    { name: "a tracestate of a hundred members", headers: withTracestate(members) },
    {
      name: "a tracestate with a line break",
      headers: withTracestate("rojo=1\r\nx-injected: 1"),
    },
    {
      name: "a header named __proto__",
      headers: [["__proto__", "polluted"], ["constructor", "polluted"], traceparent],
    },
  ];
}

async function assertUnharmed(fixtures: Fixtures, headers: Headers): Promise<void> {
  const [[, traceparent = ""] = []] = headers.filter(([key]) => key === "traceparent");

  const { sent } = await receiveAndSend(fixtures, headers);

  assert.equal(
    traceparent.slice(3, 35),
    incomingSpan(fixtures).traceId,
    "a valid traceparent was not continued",
  );
  propagatedContext(sent);
  assertWithinBudget(fixtures, sent);
  for (const [key, value] of sent) {
    assert.doesNotMatch(value, /[^\t\x20-\x7e]/, `${key} would be refused by HTTP and gRPC peers`);
  }
  assert.deepEqual(Object.keys(Object.prototype), [], "every object has these properties now");
}
