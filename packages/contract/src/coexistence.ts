import assert from "node:assert/strict";
import {
  type Context,
  context,
  defaultTextMapGetter,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  trace,
} from "@opentelemetry/api";
import { type Headers, sender } from "@traceferry/testkit";
import type { Adapter } from "./adapter.js";
import {
  type ContractCase,
  contractCase,
  type Fixtures,
  incomingSpans,
  outgoingSpan,
} from "./fixtures.js";
import { propagatedContext } from "./headers.js";
import { type ObservedContext, observe } from "./messages.js";

const OTHER_SCOPE = "@opentelemetry/instrumentation-of-somebody-else";

/** Another instrumentation, which patches the transport, made a span for the same message. */
export function coexistence(adapter: Adapter): ContractCase[] {
  if (adapter.receivePatched === undefined) return [];
  return [
    contractCase(
      adapter,
      "a message that another instrumentation has a span for gets no second one",
      assertOneSpan,
    ),
  ];
}

async function assertOneSpan(fixtures: Fixtures): Promise<void> {
  const { adapter, harness } = fixtures;
  const from = sender();
  const carrier: Record<string, string> = Object.fromEntries(from.headers);
  const extracted = adapter.propagator().extract(ROOT_CONTEXT, carrier, defaultTextMapGetter);
  const other = startOtherSpan(fixtures, extracted);

  const all: ObservedContext[] = [];
  let sent: Headers = [];
  await adapter.receivePatched?.(
    harness,
    from.headers,
    async () => {
      all.push(observe());
      sent = (await harness.send(harness.message([]))).headers;
    },
    (next) => context.with(trace.setSpan(extracted, other), next),
  );
  other.end();

  const { spanId } = other.spanContext();
  assert.equal(all.length, 1, `the handler ran ${all.length} times for one message`);
  const incoming = incomingSpans(fixtures).map(({ scope, spanId: id }) => ({ scope, id }));
  assert.deepEqual(incoming, [{ scope: OTHER_SCOPE, id: spanId }], "spans for one message");
  assert.deepEqual(all[0], { traceId: from.traceId, spanId, baggage: from.entries });
  assert.equal(
    outgoingSpan(fixtures).parentSpanId,
    spanId,
    "the outgoing span is no child of the other instrumentation's span",
  );
  assert.equal(propagatedContext(sent).traceId, from.traceId);
}

function startOtherSpan({ adapter, spans }: Fixtures, parent: Context): Span {
  const { kind, name, attributes } = adapter.incoming;
  return spans.tracer(OTHER_SCOPE).startSpan(name, { kind: SpanKind[kind], attributes }, parent);
}
