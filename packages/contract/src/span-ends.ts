import assert from "node:assert/strict";
import { sender } from "@traceferry/testkit";
import type { RecordedSpan } from "@traceferry/testkit/record";
import type { Adapter, DeclaredSpan, Harness } from "./adapter.js";
import {
  type ContractCase,
  carried,
  contractCase,
  entry,
  exit,
  type Fixtures,
  sendFrom,
} from "./fixtures.js";

/** Item 5, as far as every transport has it: what the user's code or the transport throws. */
export function spanEnds(adapter: Adapter): ContractCase[] {
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
    contractCase(adapter, "error.type tells errors of the handler apart", toldApart),
    contractCase(
      adapter,
      "a send that fails ends its span as an error and fails as it always did",
      sendFails,
    ),
    contractCase(adapter, "a handler that returns leaves the status unset", async (fixtures) => {
      await fixtures.harness.receive(sender().headers, () => undefined);
      assert.deepEqual(entry(fixtures).status, { code: "UNSET" });
    }),
    contractCase(adapter, "a send that succeeds leaves the status unset", async (fixtures) => {
      await sendFrom(fixtures, fixtures.harness.message([]));
      assert.deepEqual(exit(fixtures).status, { code: "UNSET" });
    }),
  ];
}

function failure(
  adapter: Adapter,
  who: string,
  error: unknown,
  handler: () => unknown,
): ContractCase {
  return contractCase(
    adapter,
    `${who} ends its span once, as an error, and the transport hears of it`,
    (fixtures) => failed(fixtures, error, handler),
  );
}

async function failed(fixtures: Fixtures, error: unknown, handler: () => unknown): Promise<void> {
  const from = sender();

  await assertFails(fixtures, fixtures.harness, from.headers, error, handler);

  const span = entry(fixtures);
  assert.equal(span.traceId, from.traceId);
  assert.equal(span.status.code, "ERROR", "the status of a failed handler's span");
  assertErrorType(span, fixtures.adapter.incoming, error);
}

async function toldApart(fixtures: Fixtures): Promise<void> {
  for (const error of [new TypeError("no such item"), new RangeError("out of stock")]) {
    fixtures.spans.clear();

    await assertFails(fixtures, fixtures.harness, [], error, () => Promise.reject(error));

    assertErrorType(entry(fixtures), fixtures.adapter.incoming, error);
  }
}

/** The delivery fails as the adapter's description says. Used where the tracing is broken, too. */
export async function assertFails(
  { adapter }: Pick<Fixtures, "adapter">,
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

async function sendFails(fixtures: Fixtures): Promise<void> {
  const { harness } = fixtures;

  const error = await harness.sendFailing(harness.message([])).then(
    () => assert.fail("the send did not fail"),
    (reason: unknown) => reason,
  );

  const span = exit(fixtures);
  assert.equal(span.status.code, "ERROR", "the status of a failed send's span");
  assertErrorType(span, fixtures.adapter.outgoing, error);
  fixtures.spans.clear();
  const { headers } = await sendFrom(fixtures, harness.message([]));
  assert.equal(
    carried(headers).spanId,
    exit(fixtures).spanId,
    "a send after a failed one is broken",
  );
}

function assertErrorType(span: RecordedSpan, declared: DeclaredSpan<string>, error: unknown): void {
  const name = error instanceof Error ? error.name : "_OTHER";
  const expected = declared.errorType?.(error) ?? name;
  assert.equal(span.attributes["error.type"], expected, "error.type");
}
