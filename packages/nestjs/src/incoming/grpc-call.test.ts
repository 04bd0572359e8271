import { ServerInterceptingCall, type ServerInterceptor, status } from "@grpc/grpc-js";
import { sender } from "@traceferry/testkit";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { ended, record, seen } from "../recorded.test-support.js";
import { metadataOf } from "../shop.test-support.js";
import { startGrpc } from "./grpc.test-support.js";

/** Hides the call below it, as an interceptor of the user's may, or another version of grpc-js. */
const hide: ServerInterceptor = (_method, call) =>
  new ServerInterceptingCall(
    new Proxy(call, {
      get(target, key) {
        if (key === "stream" || key === "nextCall") return undefined;
        const found: unknown = Reflect.get(target, key);
        return typeof found === "function" ? found.bind(target) : found;
      },
    }),
  );

describe.each([
  ["as it was sent", []],
  ["as Nest makes it, where an interceptor hides the call", [hide]],
])("the status of a call, %s", (_how, interceptors) => {
  test("is OK for an answer", async () => {
    using spans = record();
    await using shop = await startGrpc("module", interceptors);

    await shop.call("two shirts");

    const span = await ended(spans);
    expect(span.attributes["rpc.status_code"]).toBe("OK");
    expect(span.status.code).toBe("UNSET");
  });

  test.each([
    ["an exception that nobody expected", "broken", "UNKNOWN", "ERROR", ["stock is undefined"]],
    ["an RpcException with a status", "missing", "NOT_FOUND", "UNSET", []],
    ["an RpcException whose status is a text", "words", "UNKNOWN", "ERROR", ["no"]],
    ["an RpcException whose status is none", "fraction", "UNKNOWN", "ERROR", ["no"]],
    ["the failure of another call", "downstream", "UNKNOWN", "ERROR", ["no"]],
    ["an object that is no Error", "object", "UNKNOWN", "ERROR", []],
  ] as const)("is what the caller got for %s", async (_what, text, code, outcome, exceptions) => {
    using spans = record();
    await using shop = await startGrpc("module", interceptors);

    await expect(shop.call(text)).rejects.toMatchObject({ code: status[code] });

    const span = await ended(spans);
    expect(span.attributes["rpc.status_code"]).toBe(code);
    expect(span.status.code).toBe(outcome);
    expect(span.attributes["error.type"]).toBe(outcome === "ERROR" ? code : undefined);
    const messages = span.events.map(({ attributes }) => attributes["exception.message"]);
    expect(messages).toEqual(exceptions);
  });
});

test("a stream of requests ends its span also where an interceptor hides the call", async () => {
  using spans = record();
  await using shop = await startGrpc("module", [hide]);

  await shop.client.collect(["1", "2"], metadataOf([]));

  expect((await ended(spans)).name).toBe("shop.Orders/Collect");
});

test.each([
  ["a guard's refusal", "intruder", "UNKNOWN", { code: "ERROR", message: "UNKNOWN" }],
  ["what a filter makes of an error", "range", "OUT_OF_RANGE", { code: "UNSET" }],
] as const)("%s shows as the status that the caller got", async (_what, text, code, outcome) => {
  using spans = record();
  await using shop = await startGrpc();

  await expect(shop.call(text)).rejects.toMatchObject({ code: status[code] });

  const span = await ended(spans);
  expect(span.attributes["rpc.status_code"]).toBe(code);
  expect(span.status).toEqual(outcome);
  expect(span.attributes["error.type"]).toBe(outcome.code === "ERROR" ? code : undefined);
  expect(span.events).toEqual([]);
});

test("a caller who hangs up ends the span of a handler that never answers", async () => {
  using spans = record();
  await using shop = await startGrpc();
  const caller = new AbortController();
  const answer = shop.client.place("never", metadataOf(sender().headers), caller.signal);
  const refused = expect(answer).rejects.toMatchObject({ code: status.CANCELLED });
  await vi.waitFor(() => expect(seen.map(([place]) => place)).toContain("handler"));

  caller.abort();

  await refused;
  const span = await ended(spans);
  expect(span.attributes["rpc.status_code"]).toBe("CANCELLED");
  expect(span.status.code).toBe("UNSET");
});

test("a caller who hung up before the interceptor came, behind slow guards, was sent nothing", async () => {
  using spans = record();
  await using shop = await startGrpc("interceptor");
  const caller = new AbortController();
  const answer = shop.client.place("late", metadataOf([]), caller.signal);
  const refused = expect(answer).rejects.toMatchObject({ code: status.CANCELLED });
  await vi.waitFor(() => expect(seen.map(([place]) => place)).toContain("guard"));

  caller.abort();

  await refused;
  const span = await ended(spans);
  expect(span.attributes["rpc.status_code"]).toBe("CANCELLED");
  expect(seen).toContainEqual(["handler after await", span.spanId]);
});

test("a deadline that passes ends the span of a handler that never answers", async () => {
  using spans = record();
  await using shop = await startGrpc();
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  // As a field of the call alone, the deadline is the server's to keep: the caller has no timer for it.
  const answer = shop.client.place("never", metadataOf([["grpc-timeout", "60S"]]));
  const refused = expect(answer).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
  await vi.waitFor(() => expect(seen.map(([place]) => place)).toContain("handler"));

  vi.advanceTimersByTime(60_000);

  await refused;
  const span = await ended(spans);
  expect(span.attributes["rpc.status_code"]).toBe("DEADLINE_EXCEEDED");
  expect(span.status).toEqual({ code: "ERROR", message: "DEADLINE_EXCEEDED" });
});
