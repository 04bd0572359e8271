import { status } from "@grpc/grpc-js";
import { sender } from "@traceferry/testkit/contract";
import { expect, test } from "vitest";
import { ended, record } from "../recorded.test.driver.js";
import { startGrpc } from "./grpc.test.driver.js";

test.each([
  ["a guard's refusal", "intruder", "UNKNOWN", "ERROR", []],
  ["an exception that nobody expected", "broken", "UNKNOWN", "ERROR", ["TypeError"]],
  ["an RpcException with a status", "missing", "NOT_FOUND", "UNSET", []],
  ["what a filter makes of an error", "range", "OUT_OF_RANGE", "UNSET", []],
] as const)(
  "%s shows as the status that the caller got",
  async (_what, text, code, outcome, exceptions) => {
    using spans = record();
    await using shop = await startGrpc();

    await expect(shop.call(text)).rejects.toMatchObject({ code: status[code] });

    const span = await ended(spans);
    expect(span.attributes["rpc.status_code"]).toBe(code);
    expect(span.status.code).toBe(outcome);
    expect(span.attributes["error.type"]).toBe(outcome === "ERROR" ? code : undefined);
    expect(span.events.map(({ attributes }) => attributes["exception.type"])).toEqual(exceptions);
  },
);

test("a caller who goes away ends the span of a handler that never answers", async () => {
  using spans = record();
  await using shop = await startGrpc();

  await expect(shop.call("never", sender(), Date.now() + 100)).rejects.toMatchObject({
    code: status.DEADLINE_EXCEEDED,
  });

  const span = await ended(spans);
  expect(["CANCELLED", "DEADLINE_EXCEEDED"]).toContain(span.attributes["rpc.status_code"]);
});
