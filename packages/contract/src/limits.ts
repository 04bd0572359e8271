import assert from "node:assert/strict";
import { context, propagation } from "@opentelemetry/api";
import { type Headers, sender } from "@traceferry/testkit";
import type { Adapter } from "./adapter.js";
import {
  type ContractCase,
  canCarry,
  carried,
  contractCase,
  entry,
  type Fixtures,
  passOn,
  size,
  start,
} from "./fixtures.js";

const SHORT = "x".repeat(90);
const LONG = "x".repeat(200);
// Two members of tracestate and three of baggage, none of which fits into the slack. The slack is there because
// transports count their own bytes per field.
const TRACESTATE = ["rojo", "congo"].map((vendor) => `${vendor}=${LONG}`).join(",");
const ENTRIES = { first: LONG, second: LONG, third: LONG };
const SLACK = 100;
const TRACEPARENT_BYTES = 55 + "traceparent".length;
const TRACESTATE_BYTES = TRACESTATE.length + "tracestate".length;

/** Sizes and strangers: the outgoing budget, and headers that mean harm. */
export function limits(adapter: Adapter): ContractCase[] {
  const budget = (title: string, maxBytes: number, wanted: Wanted) =>
    contractCase(adapter, title, (fixtures) => trimmed(fixtures, maxBytes, wanted), {
      options: { maxBytes },
    });
  return [
    budget("a tight budget drops baggage first", TRACEPARENT_BYTES + TRACESTATE_BYTES + SLACK, {
      tracestate: true,
    }),
    budget("a tighter budget drops tracestate next", TRACEPARENT_BYTES + SLACK, {
      tracestate: false,
    }),
    budget("no budget is so tight that traceparent is dropped", 1, { tracestate: false }),
    contractCase(adapter, "by default what leaves is within the adapter's budget", withinDefault),
    contractCase(adapter, "a budget without limit lets a large baggage leave whole", unlimited, {
      options: { maxBytes: Number.POSITIVE_INFINITY },
    }),
    contractCase(
      adapter,
      "baggage can be kept in",
      (fixtures) => baggageLeaves(fixtures, undefined),
      {
        options: { baggage: false },
      },
    ),
    contractCase(
      adapter,
      "an allow-list names the baggage that may leave",
      (fixtures) => baggageLeaves(fixtures, "tenant.id=acme"),
      { options: { baggage: ["tenant.id"] } },
    ),
    ...hostile(adapter).map(({ name, headers }) =>
      contractCase(adapter, `${name} harms nobody`, (fixtures) => unharmed(fixtures, headers)),
    ),
  ];
}

interface Wanted {
  readonly tracestate: boolean;
}

async function trimmed(fixtures: Fixtures, maxBytes: number, wanted: Wanted): Promise<void> {
  const from = sender({ tracestate: TRACESTATE, entries: ENTRIES });

  const { observed, sent } = await passOn(fixtures, from.headers);

  const left = carried(sent);
  assert.equal(left.traceId, from.traceId);
  assert.equal(
    left.tracestate,
    wanted.tracestate ? from.tracestate : undefined,
    "tracestate that left",
  );
  assert.equal(left.baggage, undefined, `baggage left, the budget is ${maxBytes} bytes`);
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
  const caller = start(spans);
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

async function withinDefault(fixtures: Fixtures): Promise<void> {
  const headers = await sendWithBaggage(fixtures, manyEntries(200));

  carried(headers);
  const { maxBytes } = fixtures.adapter;
  assert.ok(size(headers) <= maxBytes, `${size(headers)} bytes left, the budget is ${maxBytes}`);
}

async function unlimited(fixtures: Fixtures): Promise<void> {
  const headers = await sendWithBaggage(fixtures, manyEntries(60));

  const members = carried(headers).baggage?.split(",") ?? [];
  assert.equal(members.length, 60, "baggage members that left");
}

async function baggageLeaves(fixtures: Fixtures, expected: string | undefined): Promise<void> {
  const headers = await sendWithBaggage(fixtures, sender().entries);

  assert.equal(carried(headers).baggage, expected, "baggage that left");
}

function hostile(adapter: Adapter): { readonly name: string; readonly headers: Headers }[] {
  const from = sender();
  const withBaggage = (baggage: string): Headers => [
    ["traceparent", from.traceparent],
    ["baggage", baggage],
  ];
  const members = Array.from({ length: 100 }, (_, number) => `v${number}=${SHORT}`).join(",");
  const all = [
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
    { name: "a baggage that is no baggage", headers: withBaggage(",;==%zz,=,;a") },
    { name: "a baggage that names __proto__", headers: withBaggage("__proto__=polluted,a=1") },
    {
      name: "a tracestate of a hundred members",
      headers: [
        ["traceparent", from.traceparent],
        ["tracestate", members],
      ] satisfies Headers,
    },
    {
      name: "a tracestate with a line break",
      headers: [
        ["traceparent", from.traceparent],
        ["tracestate", "rojo=1\r\nx-injected: 1"],
      ] satisfies Headers,
    },
    {
      name: "a header named __proto__",
      headers: [
        ["__proto__", "polluted"],
        ["constructor", "polluted"],
        ["traceparent", from.traceparent],
      ] satisfies Headers,
    },
  ];
  return all.filter(({ headers }) => canCarry(adapter, headers));
}

async function unharmed(fixtures: Fixtures, headers: Headers): Promise<void> {
  const { adapter } = fixtures;
  const [[, traceparent = ""] = []] = headers.filter(([key]) => key === "traceparent");

  const { sent } = await passOn(fixtures, headers);

  assert.equal(
    traceparent.slice(3, 35),
    entry(fixtures).traceId,
    "a sound traceparent was not continued",
  );
  carried(sent);
  assert.ok(size(sent) <= adapter.maxBytes, `${size(sent)} bytes left for ${adapter.maxBytes}`);
  for (const [key, value] of sent) {
    assert.doesNotMatch(value, /[^\t\x20-\x7e]/, `${key} would be refused by HTTP and gRPC peers`);
  }
  assert.deepEqual(Object.keys(Object.prototype), [], "every object has these properties now");
}
