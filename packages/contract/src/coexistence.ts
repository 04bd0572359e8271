import assert from "node:assert/strict";
import { context, defaultTextMapGetter, ROOT_CONTEXT, SpanKind, trace } from "@opentelemetry/api";
import { type Headers, sender } from "@traceferry/testkit";
import type { Adapter } from "./adapter.js";
import {
  type ContractCase,
  carried,
  contractCase,
  entries,
  exit,
  type Fixtures,
  type ObservedContext,
  observe,
} from "./fixtures.js";

const THEIR_SCOPE = "@opentelemetry/instrumentation-of-somebody-else";

/** Item 10: somebody else made a span for this very message. */
export function coexistence(adapter: Adapter): ContractCase[] {
  if (adapter.receivePatched === undefined) return [];
  return [
    contractCase(
      adapter,
      "a message that somebody else's patching has a span for gets no second one",
      oneSpan,
    ),
  ];
}

async function oneSpan(fixtures: Fixtures): Promise<void> {
  const { adapter, harness, spans } = fixtures;
  const from = sender();
  const seen: ObservedContext[] = [];
  const carrier: Record<string, string> = Object.fromEntries(from.headers);
  const remote = adapter.propagator().extract(ROOT_CONTEXT, carrier, defaultTextMapGetter);
  const theirs = spans
    .tracer(THEIR_SCOPE)
    .startSpan(
      adapter.incoming.name,
      { kind: SpanKind[adapter.incoming.kind], attributes: adapter.incoming.attributes },
      remote,
    );

  let left: Headers = [];
  await adapter.receivePatched?.(
    harness,
    from.headers,
    async () => {
      seen.push(observe());
      left = (await harness.send(harness.message([]))).headers;
    },
    (next) => context.with(trace.setSpan(remote, theirs), next),
  );
  theirs.end();

  const { spanId } = theirs.spanContext();
  assert.equal(seen.length, 1, `the handler ran ${seen.length} times for one message`);
  const made = entries(fixtures).map(({ scope, spanId: id }) => ({ scope, id }));
  assert.deepEqual(made, [{ scope: THEIR_SCOPE, id: spanId }], "spans for one message");
  assert.deepEqual(seen[0], { traceId: from.traceId, spanId, baggage: from.entries });
  assert.equal(
    exit(fixtures).parentSpanId,
    spanId,
    "the tree is broken between their span and ours",
  );
  assert.equal(carried(left).traceId, from.traceId);
}
