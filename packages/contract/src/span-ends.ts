import assert from "node:assert/strict";
import { sender } from "@traceferry/testkit";
import type { RecordedSpan } from "@traceferry/testkit/record";
import type { Adapter, DeclaredSpan, Harness } from "./adapter.js";
import {
  type Bench,
  type ContractCase,
  carried,
  entry,
  exit,
  scene,
  sendFrom,
} from "./fixtures.js";

/** Item 5, as far as every transport has it: what the user's code or the transport throws. */
export function failing(adapter: Adapter): ContractCase[] {
  const outOfStock = new RangeError("out of stock");
  return [
    failure(adapter, "a handler that throws", outOfStock, () => {
      throw outOfStock;
    }),
    failure(adapter, "a handler that rejects", outOfStock, () => Promise.reject(outOfStock)),
    failure(adapter, "a handler that rejects late", outOfStock, async () => {
      await new Promise(setImmediate);
      throw outOfStock;
    }),
    failure(adapter, "a handler that throws a string", "out of stock", () => {
      throw "out of stock";
    }),
    failure(adapter, "a handler that rejects with nothing", undefined, () =>
      Promise.reject(undefined),
    ),
    scene(adapter, "error.type tells errors of the handler apart", toldApart),
    scene(
      adapter,
      "a send that fails ends its span as an error and fails as it always did",
      sendFails,
    ),
    scene(adapter, "a handler that returns leaves the status unset", async (bench) => {
      await bench.harness.receive(sender().headers, () => undefined);
      assert.deepEqual(entry(bench).status, { code: "UNSET" });
    }),
    scene(adapter, "a send that succeeds leaves the status unset", async (bench) => {
      await sendFrom(bench, bench.harness.message([]));
      assert.deepEqual(exit(bench).status, { code: "UNSET" });
    }),
  ];
}

function failure(
  adapter: Adapter,
  who: string,
  error: unknown,
  handler: () => unknown,
): ContractCase {
  return scene(
    adapter,
    `${who} ends its span once, as an error, and the transport hears of it`,
    (bench) => failed(bench, error, handler),
  );
}

async function failed(bench: Bench, error: unknown, handler: () => unknown): Promise<void> {
  const from = sender();

  await assertFails(bench, bench.harness, from.headers, error, handler);

  const span = entry(bench);
  assert.equal(span.traceId, from.traceId);
  assert.equal(span.status.code, "ERROR", "the status of a failed handler's span");
  assertErrorType(span, bench.adapter.incoming, error);
}

async function toldApart(bench: Bench): Promise<void> {
  for (const error of [new TypeError("no such item"), new RangeError("out of stock")]) {
    bench.spans.clear();

    await assertFails(bench, bench.harness, [], error, () => Promise.reject(error));

    assertErrorType(entry(bench), bench.adapter.incoming, error);
  }
}

/** The delivery fails as the adapter's description says. Used where the tracing is broken, too. */
export async function assertFails(
  { adapter }: Pick<Bench, "adapter">,
  harness: Harness,
  headers: ReturnType<typeof sender>["headers"],
  error: unknown,
  handler: () => unknown,
): Promise<void> {
  const expected = adapter.handlerError ?? "same";
  const outcome = await harness.receive(headers, handler).then(
    () => ({ failed: false, reason: undefined }),
    (reason: unknown) => ({ failed: true, reason }),
  );
  assert.equal(outcome.failed, expected !== "swallowed", "whether the delivery failed");
  if (expected === "same") {
    assert.ok(Object.is(outcome.reason, error), `another error arrived: ${String(outcome.reason)}`);
  }
}

async function sendFails(bench: Bench): Promise<void> {
  const { harness } = bench;

  const error = await harness.sendFailing(harness.message([])).then(
    () => assert.fail("the send did not fail"),
    (reason: unknown) => reason,
  );

  const span = exit(bench);
  assert.equal(span.status.code, "ERROR", "the status of a failed send's span");
  assertErrorType(span, bench.adapter.outgoing, error);
  bench.spans.clear();
  const { headers } = await sendFrom(bench, harness.message([]));
  assert.equal(carried(headers).spanId, exit(bench).spanId, "a send after a failed one is broken");
}

function assertErrorType(span: RecordedSpan, declared: DeclaredSpan<string>, error: unknown): void {
  const name = error instanceof Error ? error.name : "_OTHER";
  const expected = declared.errorType?.(error) ?? name;
  assert.equal(span.attributes["error.type"], expected, "error.type");
}
