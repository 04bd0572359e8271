import assert from "node:assert/strict";
import { defaultTextMapGetter, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { BROKEN_SENDERS, type Headers, type Sender, sender } from "@traceferry/testkit";
import type { Adapter } from "./adapter.js";
import {
  CONTRACT_SCOPE,
  type ContractCase,
  contractCase,
  type Fixtures,
  incomingSpan,
  incomingSpans,
} from "./fixtures.js";
import { canCarry, propagatedContext, withUpperCaseNames } from "./headers.js";
import { observe, receive, receiveAndSend } from "./messages.js";

const AMBIENT = { ambient: true };

/** A valid sender is continued, an absent or broken one starts a new trace. */
export function validSender(adapter: Adapter): ContractCase[] {
  return [
    contractCase(adapter, "a valid sender is continued", assertContinued),
    contractCase(
      adapter,
      "a valid sender is continued, whatever else is active in the process",
      assertContinued,
      AMBIENT,
    ),
    ...upperCaseNames(adapter),
    contractCase(
      adapter,
      "a sender behind twenty other headers is continued",
      assertContinuedBehindOthers,
    ),
    contractCase(
      adapter,
      "the sender's tracestate and baggage reach the handler and the next hop",
      assertStateAndBaggageKept,
    ),
    contractCase(
      adapter,
      "an unsampled sender is not recorded here and stays unsampled at the next hop",
      assertUnsampled,
    ),
    contractCase(
      adapter,
      "the sender's flags reach the next hop as the propagator keeps them",
      assertFlagsKept,
    ),
    ...absentSenders(adapter),
    ...invalidSenders(adapter),
    ...severalSenders(adapter),
  ];
}

function upperCaseNames(adapter: Adapter): ContractCase[] {
  if (!canCarry(adapter, withUpperCaseNames(sender().headers))) return [];
  return [
    contractCase(
      adapter,
      "a sender with upper-case header names is continued",
      assertContinuedWithUpperCaseNames,
    ),
  ];
}

function absentSenders(adapter: Adapter): ContractCase[] {
  const absent: readonly { readonly name: string; readonly headers: Headers }[] = [
    { name: "a message without a sender", headers: [] },
    { name: "a message with an empty traceparent", headers: [["traceparent", ""]] },
    {
      name: "a message with a header named trace-parent",
      headers: [["trace-parent", sender().traceparent]],
    },
  ];
  return absent.map(({ name, headers }) => newTraceCase(adapter, name, headers, "missing"));
}

function invalidSenders(adapter: Adapter): ContractCase[] {
  // Several traceparents are no broken sender where the transport holds only one, or the last one counts.
  const restarts = (adapter.repeatedTraceparent ?? "restart") === "restart";
  return BROKEN_SENDERS.filter(
    ({ headers, repeated }) => canCarry(adapter, headers) && (restarts || !repeated),
  ).map(({ name, headers }) => newTraceCase(adapter, `a sender with ${name}`, headers, "invalid"));
}

function newTraceCase(
  adapter: Adapter,
  name: string,
  headers: Headers,
  extraction: "missing" | "invalid",
): ContractCase {
  return contractCase(
    adapter,
    `${name} starts a new trace`,
    (fixtures) => assertNewTrace(fixtures, headers, extraction),
    AMBIENT,
  );
}

function severalSenders(adapter: Adapter): ContractCase[] {
  if (adapter.repeatedTraceparent !== "last") return [];
  return [
    contractCase(adapter, "the last of several traceparents is continued", assertLastContinued),
  ];
}

function assertContinued(fixtures: Fixtures): Promise<void> {
  const from = sender();
  return assertContinues(fixtures, from, from.headers);
}

function assertContinuedWithUpperCaseNames(fixtures: Fixtures): Promise<void> {
  const from = sender();
  return assertContinues(fixtures, from, withUpperCaseNames(from.headers));
}

function assertContinuedBehindOthers(fixtures: Fixtures): Promise<void> {
  const from = sender();
  const others = Array.from({ length: 20 }, (_, number) => [`x-${number}`, "y"] as const);
  return assertContinues(fixtures, from, [...others, ...from.headers]);
}

async function assertContinues(fixtures: Fixtures, from: Sender, headers: Headers): Promise<void> {
  const { observed } = await receive(fixtures.harness, headers);

  const span = incomingSpan(fixtures);
  const { traceId, spanId } = span;
  assert.equal(traceId, from.traceId, "the trace was not continued");
  assert.equal(span.parentSpanId, from.spanId, "the parent is not the sender's span");
  assert.equal(span.parentIsRemote, true, "the parent is not marked as remote");
  assert.equal(
    span.attributes["traceferry.extraction"],
    undefined,
    "traceferry.extraction is set although the sender was continued",
  );
  assert.deepEqual(observed, { traceId, spanId, baggage: from.entries });
  const links = span.links.filter((link) => link.spanId === from.spanId);
  if (fixtures.adapter.messaging) assert.equal(links.length, 1, "links to the sender");
  else assert.deepEqual(span.links, [], "a child has a link outside of messaging");
}

async function assertStateAndBaggageKept(fixtures: Fixtures): Promise<void> {
  const from = sender();

  const { observed, sent } = await receiveAndSend(fixtures, from.headers);

  assert.equal(incomingSpan(fixtures).traceState, from.tracestate, "tracestate of the span");
  assert.deepEqual(observed.baggage, from.entries, "baggage that the handler sees");
  const next = propagatedContext(sent);
  assert.equal(next.traceId, from.traceId, "the next hop is in another trace");
  assert.equal(next.tracestate, from.tracestate, "tracestate that was sent");
  assert.equal(next.baggage, from.baggage, "baggage that was sent");
}

async function assertUnsampled(fixtures: Fixtures): Promise<void> {
  const from = sender({ flags: "00" });

  const { observed, sent } = await receiveAndSend(fixtures, from.headers);

  assert.deepEqual(fixtures.spans.ended, [], "spans of an unsampled trace were recorded");
  assert.equal(observed.traceId, from.traceId, "trace that the handler sees");
  const next = propagatedContext(sent);
  assert.equal(next.traceId, from.traceId, "the next hop is in another trace");
  assert.equal(next.flags, "00", "the next hop was told to sample");
}

async function assertFlagsKept(fixtures: Fixtures): Promise<void> {
  const from = sender({ flags: "03" });

  const { sent } = await receiveAndSend(fixtures, from.headers);

  const expected = flagsByPropagator(fixtures, from.headers);
  assert.equal(propagatedContext(sent).flags, expected, "flags that were sent");
}

// The flags that the propagator injects when the extracted context is handed on to it, as it should be.
function flagsByPropagator({ adapter, spans }: Fixtures, headers: Headers): string {
  const propagator = adapter.propagator();
  const carrier: Record<string, string> = Object.fromEntries(headers);
  const extracted = propagator.extract(ROOT_CONTEXT, carrier, defaultTextMapGetter);
  const span = spans.tracer(CONTRACT_SCOPE).startSpan("reference", {}, extracted);
  const injected: Record<string, string> = {};
  propagator.inject(trace.setSpan(extracted, span), injected, {
    set: (_, key, value) => {
      injected[key] = value;
    },
  });
  span.end();
  return propagatedContext(Object.entries(injected)).flags;
}

async function assertNewTrace(
  fixtures: Fixtures,
  headers: Headers,
  extraction: "missing" | "invalid",
): Promise<void> {
  const ambient = observe();

  const { observed, sent } = await receiveAndSend(fixtures, headers);

  const span = incomingSpan(fixtures);
  assert.equal(span.parentSpanId, undefined, "the span has a parent, it should be a root");
  assert.notEqual(span.traceId, ambient.traceId, "the ambient trace was continued");
  assert.equal(span.traceState, undefined, "a tracestate without a valid traceparent was kept");
  assert.equal(span.attributes["traceferry.extraction"], extraction, "traceferry.extraction");
  if (extraction === "invalid") {
    const reason = span.attributes["traceferry.extraction.reason"];
    assert.match(String(reason), /^[a-z][a-z_]*$/, "the reason is no word of low cardinality");
  }
  assert.equal(observed.spanId, span.spanId, "the handler does not run in the incoming span");
  assert.ok(!("ambient" in observed.baggage), "the handler sees the ambient baggage");
  const next = propagatedContext(sent);
  assert.equal(next.traceId, span.traceId, "the next hop is in another trace");
  assert.equal(next.tracestate, undefined, "a tracestate without a valid traceparent was sent");
}

async function assertLastContinued(fixtures: Fixtures): Promise<void> {
  const first = sender();
  const last = sender();
  const headers: Headers = [["traceparent", first.traceparent], ...last.headers];

  await receive(fixtures.harness, headers);

  const [span] = incomingSpans(fixtures);
  assert.equal(span?.traceId, last.traceId, "the last traceparent was not continued");
  assert.equal(span?.parentSpanId, last.spanId);
}
