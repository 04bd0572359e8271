import assert from "node:assert/strict";
import { sender } from "@traceferry/testkit";
import type { RecordedSpan } from "@traceferry/testkit/record";
import type { Adapter, DeclaredSpan } from "./adapter.js";
import { type ContractCase, contractCase, incomingSpan, outgoingSpan } from "./fixtures.js";
import { receive, sendInSpan } from "./messages.js";

/** Spans have the kind, the name and the attributes that the adapter declares. */
export function conventions(adapter: Adapter): ContractCase[] {
  return [
    contractCase(adapter, "the incoming span is named as the conventions say", async (fixtures) => {
      await receive(fixtures.harness, sender().headers);
      assertDeclared(incomingSpan(fixtures), adapter.incoming);
    }),
    contractCase(adapter, "the outgoing span is named as the conventions say", async (fixtures) => {
      await sendInSpan(fixtures, fixtures.harness.message([]));
      assertDeclared(outgoingSpan(fixtures), adapter.outgoing);
    }),
  ];
}

function assertDeclared(span: RecordedSpan, declared: DeclaredSpan<string>): void {
  const attributes = Object.keys(declared.attributes).map((name) => [name, span.attributes[name]]);
  assert.deepEqual(
    { kind: span.kind, name: span.name, attributes: Object.fromEntries(attributes) },
    { kind: declared.kind, name: declared.name, attributes: { ...declared.attributes } },
    "kind, name or a declared attribute differs",
  );
}
