import assert from "node:assert/strict";
import { type Headers, sender } from "@traceferry/testkit";
import type { Adapter, AdapterOptions } from "./adapter.js";
import {
  type Bench,
  type ContractCase,
  carried,
  entry,
  passOn,
  receive,
  scene,
} from "./fixtures.js";

/** The relation option: child is the default and has its cases in continuing.ts. */
export function relation(adapter: Adapter): ContractCase[] {
  const cut = (title: string, links: boolean, options: AdapterOptions) =>
    scene(adapter, title, (bench) => unparented(bench, links), { options, ambient: true });
  return [
    cut('relation "link" starts a new trace that links the sender', true, { relation: "link" }),
    cut('a relation function that says "link" does the same', true, { relation: () => "link" }),
    cut('relation "none" starts a new trace that knows nothing of the sender', false, {
      relation: "none",
    }),
    scene(
      adapter,
      'relation "link" says "missing" where there is no sender',
      async (bench) => {
        await receive(bench.harness, []);
        assert.deepEqual(entry(bench).links, []);
        assert.equal(entry(bench).attributes["traceferry.extraction"], "missing");
      },
      { options: { relation: "link" } },
    ),
    scene(adapter, "an allow-list takes its baggage across a new trace, and no other", allowed, {
      options: { relation: "link", baggage: ["tenant.id"] },
    }),
  ];
}

async function unparented(bench: Bench, links: boolean): Promise<void> {
  const from = sender();

  const { sight, sent } = await passOn(bench, from.headers);

  const span = entry(bench);
  assert.notEqual(span.traceId, from.traceId, "the sender's trace was continued");
  assert.equal(span.parentSpanId, undefined, "the span has a parent, it should be a root");
  assert.equal(span.traceState, undefined, "the sender's tracestate was kept");
  const linked = span.links.filter(({ traceId }) => traceId === from.traceId);
  assert.deepEqual(
    linked.map(({ spanId }) => spanId),
    links ? [from.spanId] : [],
    links ? "expected one link to the sender" : "the sender is linked",
  );
  const note = span.attributes["traceferry.extraction"];
  assert.equal(note, links ? "linked" : "ignored", "traceferry.extraction");
  assert.deepEqual(sight, { traceId: span.traceId, spanId: span.spanId, baggage: {} });
  const left = carried(sent);
  assert.equal(left.traceId, span.traceId, "the next hop is in another trace");
  assert.equal(left.tracestate, undefined, "the sender's tracestate was sent on");
  assert.equal(left.baggage, undefined, "the sender's baggage was sent on");
}

async function allowed(bench: Bench): Promise<void> {
  const headers: Headers = sender().headers;

  const { sight, sent } = await passOn(bench, headers);

  assert.deepEqual(sight.baggage, { "tenant.id": "acme" }, "baggage that the handler sees");
  assert.equal(carried(sent).baggage, "tenant.id=acme", "baggage that left");
}
