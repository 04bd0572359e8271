import assert from "node:assert/strict";
import { sender } from "@traceferry/testkit";
import type { RecordedSpan } from "@traceferry/testkit/record";
import type { Adapter, DeclaredSpan } from "./adapter.js";
import {
  type Bench,
  type ContractCase,
  entry,
  exit,
  receive,
  scene,
  sendFrom,
} from "./fixtures.js";

/** Item 9: spans are named as the adapter declares. */
export function naming(adapter: Adapter): ContractCase[] {
  return [
    scene(
      adapter,
      "the span around the handler is named as the conventions say",
      async (bench: Bench) => {
        await receive(bench.harness, sender().headers);
        assertDeclared(entry(bench), adapter.incoming);
      },
    ),
    scene(
      adapter,
      "the span around a send is named as the conventions say",
      async (bench: Bench) => {
        await sendFrom(bench, bench.harness.message([]));
        assertDeclared(exit(bench), adapter.outgoing);
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
