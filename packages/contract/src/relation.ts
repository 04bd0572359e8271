import assert from "node:assert/strict";
import { type Headers, sender } from "@traceferry/testkit";
import type { Adapter, AdapterOptions } from "./adapter.js";
import {
  type ContractCase,
  carried,
  contractCase,
  entry,
  type Fixtures,
  passOn,
  receive,
} from "./fixtures.js";

/** The relation option: child is the default and has its cases in continuing.ts. */
export function relation(adapter: Adapter): ContractCase[] {
  const cut = (title: string, links: boolean, options: AdapterOptions) =>
    contractCase(adapter, title, (fixtures) => unparented(fixtures, links), {
      options,
      ambient: true,
    });
  return [
    cut('relation "link" starts a new trace that links the sender', true, { relation: "link" }),
    cut('a relation function that says "link" does the same', true, { relation: () => "link" }),
    cut('relation "none" starts a new trace that knows nothing of the sender', false, {
      relation: "none",
    }),
    contractCase(
      adapter,
      'relation "link" says "missing" where there is no sender',
      async (fixtures) => {
        await receive(fixtures.harness, []);
        assert.deepEqual(entry(fixtures).links, []);
        assert.equal(entry(fixtures).attributes["traceferry.extraction"], "missing");
      },
      { options: { relation: "link" } },
    ),
    contractCase(
      adapter,
      "an allow-list takes its baggage across a new trace, and no other",
      allowed,
      {
        options: { relation: "link", baggage: ["tenant.id"] },
      },
    ),
  ];
}

async function unparented(fixtures: Fixtures, links: boolean): Promise<void> {
  const from = sender();

  const { observed, sent } = await passOn(fixtures, from.headers);

  const span = entry(fixtures);
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
  assert.deepEqual(observed, { traceId: span.traceId, spanId: span.spanId, baggage: {} });
  const left = carried(sent);
  assert.equal(left.traceId, span.traceId, "the next hop is in another trace");
  assert.equal(left.tracestate, undefined, "the sender's tracestate was sent on");
  assert.equal(left.baggage, undefined, "the sender's baggage was sent on");
}

async function allowed(fixtures: Fixtures): Promise<void> {
  const headers: Headers = sender().headers;

  const { observed, sent } = await passOn(fixtures, headers);

  assert.deepEqual(observed.baggage, { "tenant.id": "acme" }, "baggage that the handler sees");
  assert.equal(carried(sent).baggage, "tenant.id=acme", "baggage that left");
}
