import assert from "node:assert/strict";
import { sender } from "@traceferry/testkit";
import type { Adapter, AdapterOptions } from "./adapter.js";
import { type ContractCase, contractCase, type Fixtures, incomingSpan } from "./fixtures.js";
import { propagatedContext } from "./headers.js";
import { receive, receiveAndSend } from "./messages.js";

/** The option `relation`. The cases of `"child"`, the default, are in valid-sender.ts. */
export function relation(adapter: Adapter): ContractCase[] {
  const newTrace = (title: string, links: boolean, options: AdapterOptions) =>
    contractCase(adapter, title, (fixtures) => assertNewTrace(fixtures, links), {
      options,
      ambient: true,
    });
  return [
    newTrace('relation "link" starts a new trace that links the sender', true, {
      relation: "link",
    }),
    newTrace(
      'a relation function that returns "link" starts a new trace that links the sender',
      true,
      {
        relation: () => "link",
      },
    ),
    newTrace('relation "none" starts a new trace that keeps nothing of the sender', false, {
      relation: "none",
    }),
    contractCase(
      adapter,
      'relation "link" records a missing sender as "missing"',
      assertMissingRecorded,
      { options: { relation: "link" } },
    ),
    contractCase(
      adapter,
      "an allow-list takes its baggage entries into a new trace, and no others",
      assertAllowedBaggage,
      { options: { relation: "link", baggage: ["tenant.id"] } },
    ),
  ];
}

async function assertNewTrace(fixtures: Fixtures, links: boolean): Promise<void> {
  const from = sender();

  const { observed, sent } = await receiveAndSend(fixtures, from.headers);

  const span = incomingSpan(fixtures);
  const { traceId, spanId } = span;
  assert.notEqual(traceId, from.traceId, "the sender's trace was continued");
  assert.equal(span.parentSpanId, undefined, "the span has a parent, it should be a root");
  assert.equal(span.traceState, undefined, "the sender's tracestate was kept");
  const linked = span.links.filter((link) => link.traceId === from.traceId);
  assert.deepEqual(
    linked.map((link) => link.spanId),
    links ? [from.spanId] : [],
    links ? "expected one link to the sender" : "the sender is linked",
  );
  const extraction = span.attributes["traceferry.extraction"];
  assert.equal(extraction, links ? "linked" : "ignored", "traceferry.extraction");
  assert.deepEqual(observed, { traceId, spanId, baggage: {} });
  const next = propagatedContext(sent);
  assert.equal(next.traceId, traceId, "the next hop is in another trace");
  assert.equal(next.tracestate, undefined, "the sender's tracestate was sent on");
  assert.equal(next.baggage, undefined, "the sender's baggage was sent on");
}

async function assertMissingRecorded(fixtures: Fixtures): Promise<void> {
  await receive(fixtures.harness, []);

  const { links, attributes } = incomingSpan(fixtures);
  assert.deepEqual(links, []);
  assert.equal(attributes["traceferry.extraction"], "missing");
}

async function assertAllowedBaggage(fixtures: Fixtures): Promise<void> {
  const { observed, sent } = await receiveAndSend(fixtures, sender().headers);

  assert.deepEqual(observed.baggage, { "tenant.id": "acme" }, "baggage that the handler sees");
  assert.equal(propagatedContext(sent).baggage, "tenant.id=acme", "baggage that was sent");
}
