import assert from "node:assert/strict";
import { type Headers, sender } from "@traceferry/testkit";
import type { RecordedSpan } from "@traceferry/testkit/record";
import type { Adapter, DeclaredSpan, Harness } from "./adapter.js";
import {
  type ContractCase,
  contractCase,
  type Fixtures,
  incomingSpan,
  outgoingSpan,
} from "./fixtures.js";
import { propagatedContext } from "./headers.js";
import { sendInSpan } from "./messages.js";

/** Each span ends once, with the status of its handler or send, in the ways to end that every transport has. */
export function spanEnds(adapter: Adapter): ContractCase[] {
  const outOfStock = new RangeError("out of stock");
  return [
    failingHandler(adapter, "throws", outOfStock, () => {
      throw outOfStock;
    }),
    failingHandler(adapter, "rejects", outOfStock, () => Promise.reject(outOfStock)),
    failingHandler(adapter, "rejects late", outOfStock, async () => {
      await new Promise(setImmediate);
      throw outOfStock;
    }),
    failingHandler(adapter, "throws a string", "out of stock", () => {
      throw "out of stock";
    }),
    failingHandler(adapter, "rejects with nothing", undefined, () => Promise.reject(undefined)),
    contractCase(adapter, "error.type distinguishes the handler's errors", assertErrorTypes),
    contractCase(
      adapter,
      "a send that fails ends its span with status ERROR, and rejects",
      assertSendFails,
    ),
    contractCase(
      adapter,
      "a handler that returns leaves the span status unset",
      async (fixtures) => {
        await fixtures.harness.receive(sender().headers, () => undefined);
        assert.deepEqual(incomingSpan(fixtures).status, { code: "UNSET" });
      },
    ),
    contractCase(adapter, "a send that succeeds leaves the span status unset", async (fixtures) => {
      await sendInSpan(fixtures, fixtures.harness.message([]));
      assert.deepEqual(outgoingSpan(fixtures).status, { code: "UNSET" });
    }),
  ];
}

function failingHandler(
  adapter: Adapter,
  how: string,
  error: unknown,
  handler: () => unknown,
): ContractCase {
  return contractCase(
    adapter,
    `a handler that ${how} ends its span once, with status ERROR, and the transport gets the error`,
    (fixtures) => assertSpanFails(fixtures, error, handler),
  );
}

async function assertSpanFails(
  fixtures: Fixtures,
  error: unknown,
  handler: () => unknown,
): Promise<void> {
  const from = sender();

  await assertDeliveryFails(fixtures, fixtures.harness, from.headers, error, handler);

  const span = incomingSpan(fixtures);
  assert.equal(span.traceId, from.traceId);
  assert.equal(span.status.code, "ERROR", "the status of a failed handler's span");
  assertErrorType(span, fixtures.adapter.incoming, error);
}

async function assertErrorTypes(fixtures: Fixtures): Promise<void> {
  for (const error of [new TypeError("no such item"), new RangeError("out of stock")]) {
    fixtures.spans.clear();

    await assertDeliveryFails(fixtures, fixtures.harness, [], error, () => Promise.reject(error));

    assertErrorType(incomingSpan(fixtures), fixtures.adapter.incoming, error);
  }
}

/** Delivers a message whose handler fails: the delivery must fail as `Adapter.handlerError` declares. */
export async function assertDeliveryFails(
  { adapter }: Pick<Fixtures, "adapter">,
  harness: Harness,
  headers: Headers,
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

async function assertSendFails(fixtures: Fixtures): Promise<void> {
  const { harness } = fixtures;

  const error = await harness.sendFailing(harness.message([])).then(
    () => assert.fail("the send did not fail"),
    (reason: unknown) => reason,
  );

  const span = outgoingSpan(fixtures);
  assert.equal(span.status.code, "ERROR", "the status of a failed send's span");
  assertErrorType(span, fixtures.adapter.outgoing, error);
  fixtures.spans.clear();
  const { headers } = await sendInSpan(fixtures, harness.message([]));
  assert.equal(
    propagatedContext(headers).spanId,
    outgoingSpan(fixtures).spanId,
    "a send after a failed one is broken",
  );
}

function assertErrorType(span: RecordedSpan, declared: DeclaredSpan<string>, error: unknown): void {
  const name = error instanceof Error ? error.name : "_OTHER";
  const expected = declared.errorType?.(error) ?? name;
  assert.equal(span.attributes["error.type"], expected, "error.type");
}
