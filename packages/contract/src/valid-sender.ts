import assert from "node:assert/strict";
import { defaultTextMapGetter, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { brokenSenders, type Headers, type Sender, sender } from "@traceferry/testkit";
import type { Adapter } from "./adapter.js";
import {
  type ContractCase,
  canCarry,
  carried,
  contractCase,
  entries,
  entry,
  type Fixtures,
  OWN_SCOPE,
  observe,
  passOn,
  receive,
} from "./fixtures.js";

const AMBIENT = { ambient: true };

/** Items 1 and 2: who is continued, and who is not. */
export function validSender(adapter: Adapter): ContractCase[] {
  return [
    contractCase(adapter, "a valid sender is continued", continued),
    contractCase(
      adapter,
      "a valid sender is continued, whatever else is active in the process",
      continued,
      AMBIENT,
    ),
    ...(canCarry(adapter, shouted(sender().headers))
      ? [
          contractCase(
            adapter,
            "a sender whose field names are in another case is continued",
            continuedShouted,
          ),
        ]
      : []),
    contractCase(adapter, "a sender behind twenty other headers is continued", continuedBehind),
    contractCase(
      adapter,
      "the sender's tracestate and baggage reach the handler and the next hop",
      kept,
    ),
    contractCase(adapter, "an unsampled sender is obeyed here and at the next hop", unsampled),
    contractCase(
      adapter,
      "the sender's flags reach the next hop as the propagator keeps them",
      flags,
    ),
    ...absentSenders.map(({ name, headers }) =>
      contractCase(
        adapter,
        `${name} starts a new trace`,
        (fixtures) => restarted(fixtures, headers, "missing"),
        AMBIENT,
      ),
    ),
    ...brokenSenders
      .filter(
        ({ headers, repeated }) => canCarry(adapter, headers) && !(repeated && resolves(adapter)),
      )
      .map(({ name, headers }) =>
        contractCase(
          adapter,
          `a sender with ${name} starts a new trace`,
          (fixtures) => restarted(fixtures, headers, "invalid"),
          AMBIENT,
        ),
      ),
    ...(adapter.repeatedTraceparent === "last"
      ? [contractCase(adapter, "of several senders the last is continued", lastOfSeveral)]
      : []),
  ];
}

const absentSenders: readonly { readonly name: string; readonly headers: Headers }[] = [
  { name: "a message without a sender", headers: [] },
  { name: "a message with an empty traceparent", headers: [["traceparent", ""]] },
  {
    name: "a message with a field that only looks like a traceparent",
    headers: [["trace-parent", sender().traceparent]],
  },
];

function resolves(adapter: Adapter): boolean {
  return (adapter.repeatedTraceparent ?? "restart") !== "restart";
}

function shouted(headers: Headers): Headers {
  return headers.map(([key, value]) => [key.toUpperCase(), value]);
}

function continued(fixtures: Fixtures): Promise<void> {
  const from = sender();
  return continues(fixtures, from, from.headers);
}

function continuedShouted(fixtures: Fixtures): Promise<void> {
  const from = sender();
  return continues(fixtures, from, shouted(from.headers));
}

function continuedBehind(fixtures: Fixtures): Promise<void> {
  const from = sender();
  const before = Array.from({ length: 20 }, (_, number) => [`x-${number}`, "y"] as const);
  return continues(fixtures, from, [...before, ...from.headers]);
}

async function continues(fixtures: Fixtures, from: Sender, headers: Headers): Promise<void> {
  const { observed } = await receive(fixtures.harness, headers);

  const span = entry(fixtures);
  assert.equal(span.traceId, from.traceId, "the trace was not continued");
  assert.equal(span.parentSpanId, from.spanId, "the parent is not the sender's span");
  assert.equal(span.parentIsRemote, true, "the parent is not marked as remote");
  assert.equal(
    span.attributes["traceferry.extraction"],
    undefined,
    "a continued sender needs no note",
  );
  assert.deepEqual(observed, { traceId: span.traceId, spanId: span.spanId, baggage: from.entries });
  const linked = span.links.filter(({ spanId }) => spanId === from.spanId).length;
  if (fixtures.adapter.messaging) assert.equal(linked, 1, "links to the sender");
  else assert.deepEqual(span.links, [], "a child outside of messaging links nobody");
}

async function kept(fixtures: Fixtures): Promise<void> {
  const from = sender();

  const { observed, sent } = await passOn(fixtures, from.headers);

  assert.equal(entry(fixtures).traceState, from.tracestate, "tracestate of the span");
  assert.deepEqual(observed.baggage, from.entries, "baggage that the handler sees");
  const left = carried(sent);
  assert.equal(left.traceId, from.traceId, "the next hop is in another trace");
  assert.equal(left.tracestate, from.tracestate, "tracestate that left");
  assert.equal(left.baggage, from.baggage, "baggage that left");
}

async function unsampled(fixtures: Fixtures): Promise<void> {
  const from = sender({ flags: "00" });

  const { observed, sent } = await passOn(fixtures, from.headers);

  assert.deepEqual(fixtures.spans.ended, [], "spans of an unsampled trace were recorded");
  assert.equal(observed.traceId, from.traceId, "trace that the handler sees");
  const left = carried(sent);
  assert.equal(left.traceId, from.traceId, "the next hop is in another trace");
  assert.equal(left.flags, "00", "the next hop was told to sample");
}

async function flags(fixtures: Fixtures): Promise<void> {
  const from = sender({ flags: "03" });

  const { sent } = await passOn(fixtures, from.headers);

  assert.equal(carried(sent).flags, relayedFlags(fixtures, from.headers), "flags that left");
}

// What the propagator gives when the context is carried from extract to inject as it should be.
function relayedFlags({ adapter, spans }: Fixtures, headers: Headers): string {
  const propagator = adapter.propagator();
  const carrier: Record<string, string> = Object.fromEntries(headers);
  const extracted = propagator.extract(ROOT_CONTEXT, carrier, defaultTextMapGetter);
  const span = spans.tracer(OWN_SCOPE).startSpan("reference", {}, extracted);
  const out: Record<string, string> = {};
  propagator.inject(trace.setSpan(extracted, span), out, {
    set: (_, key, value) => {
      out[key] = value;
    },
  });
  span.end();
  return carried(Object.entries(out)).flags;
}

async function restarted(fixtures: Fixtures, headers: Headers, extraction: string): Promise<void> {
  const ambient = observe();

  const { observed, sent } = await passOn(fixtures, headers);

  const span = entry(fixtures);
  assert.equal(span.parentSpanId, undefined, "the span has a parent, it should be a root");
  assert.notEqual(span.traceId, ambient.traceId, "the trace of what was active was continued");
  assert.equal(span.traceState, undefined, "the tracestate of no trace was kept");
  assert.equal(span.attributes["traceferry.extraction"], extraction, "traceferry.extraction");
  if (extraction === "invalid") {
    const reason = span.attributes["traceferry.extraction.reason"];
    assert.match(String(reason), /^[a-z][a-z_]*$/, "the reason is no word of low cardinality");
  }
  assert.equal(observed.spanId, span.spanId, "the handler does not run in the span around it");
  assert.ok(!("ambient" in observed.baggage), "the handler sees baggage that came with no message");
  const left = carried(sent);
  assert.equal(left.traceId, span.traceId, "the next hop is in another trace");
  assert.equal(left.tracestate, undefined, "the tracestate of no trace was sent on");
}

async function lastOfSeveral(fixtures: Fixtures): Promise<void> {
  const first = sender();
  const last = sender();
  const headers: Headers = [["traceparent", first.traceparent], ...last.headers];

  await receive(fixtures.harness, headers);

  const [span] = entries(fixtures);
  assert.equal(span?.traceId, last.traceId, "the last traceparent was not continued");
  assert.equal(span?.parentSpanId, last.spanId);
}
