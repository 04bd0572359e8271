import assert from "node:assert/strict";
import { context, defaultTextMapGetter, ROOT_CONTEXT, SpanKind, trace } from "@opentelemetry/api";
import { type Headers, sender } from "@traceferry/testkit";
import type { Adapter } from "./adapter.js";
import {
  type Bench,
  type ContractCase,
  carried,
  entries,
  exit,
  look,
  type Sight,
  scene,
} from "./fixtures.js";

const THEIR_SCOPE = "@opentelemetry/instrumentation-of-somebody-else";

/** Item 10: somebody else made a span for this very message. */
export function patched(adapter: Adapter): ContractCase[] {
  if (adapter.receivePatched === undefined) return [];
  return [
    scene(
      adapter,
      "a message that somebody else's patching has a span for gets no second one",
      oneSpan,
    ),
  ];
}

async function oneSpan(bench: Bench): Promise<void> {
  const { adapter, harness, spans } = bench;
  const from = sender();
  const seen: Sight[] = [];
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
      seen.push(look());
      left = (await harness.send(harness.message([]))).headers;
    },
    (next) => context.with(trace.setSpan(remote, theirs), next),
  );
  theirs.end();

  const { spanId } = theirs.spanContext();
  assert.equal(seen.length, 1, `the handler ran ${seen.length} times for one message`);
  const made = entries(bench).map(({ scope, spanId: id }) => ({ scope, id }));
  assert.deepEqual(made, [{ scope: THEIR_SCOPE, id: spanId }], "spans for one message");
  assert.deepEqual(seen[0], { traceId: from.traceId, spanId, baggage: from.entries });
  assert.equal(exit(bench).parentSpanId, spanId, "the tree is broken between their span and ours");
  assert.equal(carried(left).traceId, from.traceId);
}
