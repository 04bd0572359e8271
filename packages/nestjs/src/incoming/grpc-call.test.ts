import { EventEmitter } from "node:events";
import { Metadata, ServerInterceptingCall, type ServerInterceptor, status } from "@grpc/grpc-js";
import { ROOT_CONTEXT } from "@opentelemetry/api";
import { sender } from "@traceferry/testkit";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { toMetadata } from "../orders-service.test-support.js";
import { observed, startRecording, waitForEnded } from "../recording.test-support.js";
import { startGrpc } from "./grpc.test-support.js";
import { RpcIncoming } from "./rpc.js";

/** Hides the call below it, as an interceptor of the user's or another version of grpc-js may. */
const hide: ServerInterceptor = (_method, call) =>
  new ServerInterceptingCall(
    new Proxy(call, {
      get(target, key) {
        if (key === "stream" || key === "nextCall") return undefined;
        const member: unknown = Reflect.get(target, key);
        return typeof member === "function" ? member.bind(target) : member;
      },
    }),
  );

describe.each([
  ["as it was sent", []],
  ["as Nest chooses it, where an interceptor hides the call", [hide]],
])("the status of a call, %s", (_how, interceptors) => {
  test("is OK for an answer", async () => {
    using spans = startRecording();
    await using app = await startGrpc("module", interceptors);

    await app.call("two shirts");

    const span = await waitForEnded(spans);
    expect(span.attributes["rpc.status_code"]).toBe("OK");
    expect(span.status.code).toBe("UNSET");
  });

  test.each([
    ["an unexpected exception", "broken", "UNKNOWN", "ERROR", ["stock is undefined"]],
    ["an RpcException with a status", "missing", "NOT_FOUND", "UNSET", []],
    ["an RpcException whose status is a text", "words", "UNKNOWN", "ERROR", ["no"]],
    ["an RpcException whose status is no integer", "fraction", "UNKNOWN", "ERROR", ["no"]],
    ["the failure of another call", "downstream", "UNKNOWN", "ERROR", ["no"]],
    ["an object that is no Error", "object", "UNKNOWN", "ERROR", []],
  ] as const)("is what the caller got for %s", async (_what, text, code, outcome, exceptions) => {
    using spans = startRecording();
    await using app = await startGrpc("module", interceptors);

    await expect(app.call(text)).rejects.toMatchObject({ code: status[code] });

    const span = await waitForEnded(spans);
    expect(span.attributes["rpc.status_code"]).toBe(code);
    expect(span.status.code).toBe(outcome);
    expect(span.attributes["error.type"]).toBe(outcome === "ERROR" ? code : undefined);
    const messages = span.events.map(({ attributes }) => attributes["exception.message"]);
    expect(messages).toEqual(exceptions);
  });
});

test("a stream of requests ends its span also where an interceptor hides the call", async () => {
  using spans = startRecording();
  await using app = await startGrpc("module", [hide]);

  await app.client.collect(["1", "2"], toMetadata([]));

  expect((await waitForEnded(spans)).name).toBe("shop.Orders/Collect");
});

test.each([
  ["a guard's refusal", "forbidden", "UNKNOWN", { code: "ERROR", message: "UNKNOWN" }],
  ["an error that a filter converts", "range", "OUT_OF_RANGE", { code: "UNSET" }],
] as const)("%s shows as the status that the caller got", async (_what, text, code, outcome) => {
  using spans = startRecording();
  await using app = await startGrpc();

  await expect(app.call(text)).rejects.toMatchObject({ code: status[code] });

  const span = await waitForEnded(spans);
  expect(span.attributes["rpc.status_code"]).toBe(code);
  expect(span.status).toEqual(outcome);
  expect(span.attributes["error.type"]).toBe(outcome.code === "ERROR" ? code : undefined);
  expect(span.events).toEqual([]);
});

test("a caller who cancels ends the span of a handler that never answers", async () => {
  using spans = startRecording();
  await using app = await startGrpc();
  const caller = new AbortController();
  const answer = app.client.place("never", toMetadata(sender().headers), caller.signal);
  const refused = expect(answer).rejects.toMatchObject({ code: status.CANCELLED });
  await vi.waitFor(() => expect(observed.map(([step]) => step)).toContain("handler"));

  caller.abort();

  await refused;
  const span = await waitForEnded(spans);
  expect(span.attributes["rpc.status_code"]).toBe("CANCELLED");
  expect(span.status.code).toBe("UNSET");
});

test("a caller who cancels while guards run, before the interceptor, has the status CANCELLED", async () => {
  using spans = startRecording();
  await using app = await startGrpc("interceptor");
  const caller = new AbortController();
  const answer = app.client.place("late", toMetadata([]), caller.signal);
  const refused = expect(answer).rejects.toMatchObject({ code: status.CANCELLED });
  await vi.waitFor(() => expect(observed.map(([step]) => step)).toContain("guard"));

  caller.abort();

  await refused;
  const span = await waitForEnded(spans);
  expect(span.attributes["rpc.status_code"]).toBe("CANCELLED");
  expect(observed).toContainEqual(["handler after await", span.spanId]);
});

test("a deadline that passes ends the span of a handler that never answers", async () => {
  using spans = startRecording();
  await using app = await startGrpc();
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  // Sent as plain metadata, the deadline is kept by the server alone: the client sets no timer for it.
  const answer = app.client.place("never", toMetadata([["grpc-timeout", "60S"]]));
  const refused = expect(answer).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
  await vi.waitFor(() => expect(observed.map(([step]) => step)).toContain("handler"));

  vi.advanceTimersByTime(60_000);

  await refused;
  const span = await waitForEnded(spans);
  expect(span.attributes["rpc.status_code"]).toBe("DEADLINE_EXCEEDED");
  expect(span.status).toEqual({ code: "ERROR", message: "DEADLINE_EXCEEDED" });
});

test.each([
  ["rejects", () => Promise.reject(new RangeError("in another hook"))],
  [
    "throws",
    () => {
      throw new RangeError("in another hook");
    },
  ],
])("a call has the status that was sent, also where another hook %s", async (_how, done) => {
  using spans = startRecording();
  const incoming = new RpcIncoming();
  const stream = Object.assign(new EventEmitter(), {
    destroyed: false,
    sentTrailers: { "grpc-status": "0" },
  });
  const call = { metadata: new Metadata(), path: "/shop.Orders/Place", call: { stream } };
  const started = incoming.start(call, {}, ROOT_CONTEXT);
  if (started === undefined) throw new Error("no span was started");

  await expect(async () => incoming.run(started, done)).rejects.toThrow("in another hook");

  expect(spans.ended).toEqual([]);
  stream.emit("close");
  expect(spans.ended).toMatchObject([{ attributes: { "rpc.status_code": "OK" } }]);
});
