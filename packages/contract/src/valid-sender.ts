import assert from "node:assert/strict";
import { defaultTextMapGetter, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { BROKEN_SENDERS, type Headers, type Sender, sender } from "@traceferry/testkit";
import type { Adapter } from "./adapter.js";
import {
  type Bench,
  type ContractCase,
  carried,
  carries,
  entries,
  entry,
  look,
  OWN_SCOPE,
  passOn,
  receive,
  scene,
} from "./fixtures.js";

const AMBIENT = { ambient: true };

/** Items 1 and 2: who is continued, and who is not. */
export function continuing(adapter: Adapter): ContractCase[] {
  return [
    scene(adapter, "a valid sender is continued", continued),
    scene(
      adapter,
      "a valid sender is continued, whatever else is active in the process",
      continued,
      AMBIENT,
    ),
    ...(carries(adapter, shouted(sender().headers))
      ? [
          scene(
            adapter,
            "a sender whose field names are in another case is continued",
            continuedShouted,
          ),
        ]
      : []),
    scene(adapter, "a sender behind twenty other headers is continued", continuedBehind),
    scene(adapter, "the sender's tracestate and baggage reach the handler and the next hop", kept),
    scene(adapter, "an unsampled sender is obeyed here and at the next hop", unsampled),
    scene(adapter, "the sender's flags reach the next hop as the propagator keeps them", flags),
    ...absentSenders.map(({ name, headers }) =>
      scene(
        adapter,
        `${name} starts a new trace`,
        (bench) => restarted(bench, headers, "missing"),
        AMBIENT,
      ),
    ),
    ...BROKEN_SENDERS.filter(
      ({ headers, repeated }) => carries(adapter, headers) && !(repeated && resolves(adapter)),
    ).map(({ name, headers }) =>
      scene(
        adapter,
        `a sender with ${name} starts a new trace`,
        (bench) => restarted(bench, headers, "invalid"),
        AMBIENT,
      ),
    ),
    ...(adapter.repeated === "last"
      ? [scene(adapter, "of several senders the last is continued", lastOfSeveral)]
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
  return (adapter.repeated ?? "restart") !== "restart";
}

function shouted(headers: Headers): Headers {
  return headers.map(([key, value]) => [key.toUpperCase(), value]);
}

function continued(bench: Bench): Promise<void> {
  const from = sender();
  return continues(bench, from, from.headers);
}

function continuedShouted(bench: Bench): Promise<void> {
  const from = sender();
  return continues(bench, from, shouted(from.headers));
}

function continuedBehind(bench: Bench): Promise<void> {
  const from = sender();
  const before = Array.from({ length: 20 }, (_, number) => [`x-${number}`, "y"] as const);
  return continues(bench, from, [...before, ...from.headers]);
}

async function continues(bench: Bench, from: Sender, headers: Headers): Promise<void> {
  const { sight } = await receive(bench.harness, headers);

  const span = entry(bench);
  assert.equal(span.traceId, from.traceId, "the trace was not continued");
  assert.equal(span.parentSpanId, from.spanId, "the parent is not the sender's span");
  assert.equal(span.parentIsRemote, true, "the parent is not marked as remote");
  assert.equal(
    span.attributes["traceferry.extraction"],
    undefined,
    "a continued sender needs no note",
  );
  assert.deepEqual(sight, { traceId: span.traceId, spanId: span.spanId, baggage: from.entries });
  const linked = span.links.filter(({ spanId }) => spanId === from.spanId).length;
  if (bench.adapter.messaging) assert.equal(linked, 1, "links to the sender");
  else assert.deepEqual(span.links, [], "a child outside of messaging links nobody");
}

async function kept(bench: Bench): Promise<void> {
  const from = sender();

  const { sight, sent } = await passOn(bench, from.headers);

  assert.equal(entry(bench).traceState, from.tracestate, "tracestate of the span");
  assert.deepEqual(sight.baggage, from.entries, "baggage that the handler sees");
  const left = carried(sent);
  assert.equal(left.traceId, from.traceId, "the next hop is in another trace");
  assert.equal(left.tracestate, from.tracestate, "tracestate that left");
  assert.equal(left.baggage, from.baggage, "baggage that left");
}

async function unsampled(bench: Bench): Promise<void> {
  const from = sender({ flags: "00" });

  const { sight, sent } = await passOn(bench, from.headers);

  assert.deepEqual(bench.spans.ended, [], "spans of an unsampled trace were recorded");
  assert.equal(sight.traceId, from.traceId, "trace that the handler sees");
  const left = carried(sent);
  assert.equal(left.traceId, from.traceId, "the next hop is in another trace");
  assert.equal(left.flags, "00", "the next hop was told to sample");
}

async function flags(bench: Bench): Promise<void> {
  const from = sender({ flags: "03" });

  const { sent } = await passOn(bench, from.headers);

  assert.equal(carried(sent).flags, relayedFlags(bench, from.headers), "flags that left");
}

// What the propagator gives when the context is carried from extract to inject as it should be.
function relayedFlags({ adapter, spans }: Bench, headers: Headers): string {
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

async function restarted(bench: Bench, headers: Headers, extraction: string): Promise<void> {
  const ambient = look();

  const { sight, sent } = await passOn(bench, headers);

  const span = entry(bench);
  assert.equal(span.parentSpanId, undefined, "the span has a parent, it should be a root");
  assert.notEqual(span.traceId, ambient.traceId, "the trace of what was active was continued");
  assert.equal(span.traceState, undefined, "the tracestate of no trace was kept");
  assert.equal(span.attributes["traceferry.extraction"], extraction, "traceferry.extraction");
  if (extraction === "invalid") {
    const reason = span.attributes["traceferry.extraction.reason"];
    assert.match(String(reason), /^[a-z][a-z_]*$/, "the reason is no word of low cardinality");
  }
  assert.equal(sight.spanId, span.spanId, "the handler does not run in the span around it");
  assert.ok(!("ambient" in sight.baggage), "the handler sees baggage that came with no message");
  const left = carried(sent);
  assert.equal(left.traceId, span.traceId, "the next hop is in another trace");
  assert.equal(left.tracestate, undefined, "the tracestate of no trace was sent on");
}

async function lastOfSeveral(bench: Bench): Promise<void> {
  const first = sender();
  const last = sender();
  const headers: Headers = [["traceparent", first.traceparent], ...last.headers];

  await receive(bench.harness, headers);

  const [span] = entries(bench);
  assert.equal(span?.traceId, last.traceId, "the last traceparent was not continued");
  assert.equal(span?.parentSpanId, last.spanId);
}
