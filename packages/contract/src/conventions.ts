import assert from "node:assert/strict";
import { sender } from "@traceferry/testkit";
import type { RecordedSpan } from "@traceferry/testkit/record";
import type { Adapter, DeclaredSpan } from "./adapter.js";
import {
  type ContractCase,
  contractCase,
  entry,
  exit,
  type Fixtures,
  receive,
  sendFrom,
} from "./fixtures.js";

/** Item 9: spans are named as the adapter declares. */
export function conventions(adapter: Adapter): ContractCase[] {
  return [
    contractCase(
      adapter,
      "the span around the handler is named as the conventions say",
      async (fixtures: Fixtures) => {
        await receive(fixtures.harness, sender().headers);
        assertDeclared(entry(fixtures), adapter.incoming);
      },
    ),
    contractCase(
      adapter,
      "the span around a send is named as the conventions say",
      async (fixtures: Fixtures) => {
        await sendFrom(fixtures, fixtures.harness.message([]));
        assertDeclared(exit(fixtures), adapter.outgoing);
      },
    ),
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
