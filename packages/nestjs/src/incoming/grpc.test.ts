import { ServerInterceptingCall, type ServerInterceptor, status } from "@grpc/grpc-js";
import { context, propagation, ROOT_CONTEXT, SpanKind, trace } from "@opentelemetry/api";
import { serverInterceptor } from "@traceferry/grpc";
import { sender } from "@traceferry/testkit";
import { expect, test, vi } from "vitest";
import { toMetadata } from "../orders-service.test-support.js";
import { observed, startRecording, waitForEnded } from "../recording.test-support.js";
import { pendingReplies, startGrpc } from "./grpc.test-support.js";

test("a call runs in its sender's trace from its guards on", async () => {
  using spans = startRecording();
  await using app = await startGrpc();
  const from = sender();

  expect(await app.call("two shirts", from)).toBe("two shirts");

  const span = await waitForEnded(spans);
  expect(span).toMatchObject({
    name: "shop.Orders/Place",
    kind: "SERVER",
    traceId: from.traceId,
    parentSpanId: from.spanId,
    parentIsRemote: true,
    links: [],
    status: { code: "UNSET" },
    attributes: {
      "rpc.system.name": "grpc",
      "rpc.method": "shop.Orders/Place",
      "rpc.status_code": "OK",
    },
  });
  expect(observed).toEqual([
    ["guard", span.spanId],
    ["handler", span.spanId],
    ["handler after await", span.spanId],
  ]);
});

test("the span lasts until the handler's observable has answered", async () => {
  using spans = startRecording();
  await using app = await startGrpc();

  const answer = app.call("pending");
  await vi.waitFor(() => expect([...pendingReplies.keys()]).toEqual(["pending"]));
  await new Promise(setImmediate);
  expect(spans.open).toEqual(["shop.Orders/Place"]);
  pendingReplies.get("pending")?.next({ text: "in" });
  pendingReplies.get("pending")?.complete();
  await answer;

  await waitForEnded(spans);
});

test("a stream of answers is one span, failed when the stream fails", async () => {
  using spans = startRecording();
  await using app = await startGrpc();

  expect(await app.client.watch("orders")).toBe(2);
  expect(await waitForEnded(spans)).toMatchObject({
    name: "shop.Orders/Watch",
    attributes: { "rpc.status_code": "OK" },
  });

  await expect(app.client.watch("breaks")).rejects.toMatchObject({ code: status.UNKNOWN });
  const failed = await waitForEnded(spans, 2);
  expect(failed.attributes["rpc.status_code"]).toBe("UNKNOWN");
  expect(failed.status.code).toBe("ERROR");
});

test("a stream without an answer has the status that was sent", async () => {
  using spans = startRecording();
  await using app = await startGrpc();

  expect(await app.client.watch("nothing")).toBe(0);

  expect(await waitForEnded(spans)).toMatchObject({
    status: { code: "UNSET" },
    attributes: { "rpc.status_code": "OK" },
  });
});

test.each([
  // grpc-js delivers the messages of a stream outside of any context, which only a server interceptor can change.
  ["", [], false],
  [
    ", whose requests arrive in it with the interceptor of @traceferry/grpc",
    [serverInterceptor()],
    true,
  ],
] as const)("a stream of requests is one span%s", async (_with, interceptors, inside) => {
  using spans = startRecording();
  await using app = await startGrpc("module", [...interceptors]);
  const from = sender();

  await app.client.collect(["1", "2"], toMetadata(from.headers));

  const span = await waitForEnded(spans);
  expect(span).toMatchObject({ name: "shop.Orders/Collect", parentSpanId: from.spanId });
  expect(observed).toEqual([
    ["guard", span.spanId],
    ["stream handler", span.spanId],
    ["request message", inside ? span.spanId : undefined],
    ["request message", inside ? span.spanId : undefined],
  ]);
});

test("a handler that works on the call itself keeps its span until it answers", async () => {
  using spans = startRecording();
  await using app = await startGrpc();
  const from = sender();

  const answer = await app.client.collect(["1", "2"], toMetadata(from.headers), "Tally");

  expect(answer).toEqual({ text: "2" });
  expect(await waitForEnded(spans)).toMatchObject({
    name: "shop.Orders/Tally",
    parentSpanId: from.spanId,
    attributes: { "rpc.status_code": "OK" },
  });
});

test("an observable that another call completes ends its own call's span", async () => {
  using spans = startRecording();
  await using app = await startGrpc();
  const from = { first: sender(), second: sender() };
  const answers = [app.call("pending 1", from.first), app.call("pending 2", from.second)];
  await vi.waitFor(() => expect(pendingReplies.size).toBe(2));

  // Completed outside of the call's own context.
  const reply = (text: string) => {
    pendingReplies.get(text)?.next({ text });
    pendingReplies.get(text)?.complete();
  };
  context.with(ROOT_CONTEXT, () => reply("pending 2"));
  await answers[1];
  expect((await waitForEnded(spans, 1, ["shop.Orders/Place"])).traceId).toBe(from.second.traceId);
  reply("pending 1");
  await answers[0];

  expect((await waitForEnded(spans, 2)).traceId).toBe(from.first.traceId);
});

test("the span that was active at listen(), and its baggage, never reach a call", async () => {
  using spans = startRecording();
  const ambient = spans.tracer().startSpan("start-up");
  const baggage = propagation.createBaggage({ secret: { value: "yes" } });
  const active = propagation.setBaggage(trace.setSpan(ROOT_CONTEXT, ambient), baggage);
  await using app = await context.with(active, () => startGrpc());

  await app.call("two shirts");

  const span = await waitForEnded(spans, 1, ["start-up"]);
  ambient.end();
  expect(span.parentSpanId).toBeUndefined();
  expect(span.attributes["traceferry.extraction"]).toBe("missing");
});

test("an interceptor of @traceferry/grpc and the module make one span, also without a sender", async () => {
  using spans = startRecording();
  await using app = await startGrpc("module", [serverInterceptor()]);
  const from = sender();

  await app.call("two shirts", from);
  await app.call("two shirts");
  await waitForEnded(spans, 2);

  const names = spans.ended.map(({ scope, parentSpanId }) => [scope, parentSpanId]);
  expect(names).toEqual([
    ["@traceferry/grpc", from.spanId],
    ["@traceferry/grpc", undefined],
  ]);
  const [first, second] = spans.ended;
  expect(observed.map(([, spanId]) => spanId)).toEqual([
    ...Array(3).fill(first?.spanId),
    ...Array(3).fill(second?.spanId),
  ]);
});

test("a call without a sender that comes inside the SERVER span of something else has a span of its own", async () => {
  using spans = startRecording();
  const otherSpan = spans.tracer("http").startSpan("POST", { kind: SpanKind.SERVER }, ROOT_CONTEXT);
  const active = trace.setSpan(ROOT_CONTEXT, otherSpan);
  const inOtherSpan: ServerInterceptor = (_method, call) =>
    new ServerInterceptingCall(call, {
      start: (next) => next({ onReceiveHalfClose: (handle) => context.with(active, handle) }),
    });
  await using app = await startGrpc("module", [inOtherSpan]);

  await app.call("two shirts");

  const { name, spanId } = await waitForEnded(spans, 1, ["POST"]);
  otherSpan.end();
  expect(name).toBe("shop.Orders/Place");
  expect(observed.map(([, observedId]) => observedId)).toEqual(Array(3).fill(spanId));
});

test("without an SDK calls are answered as without the module", async () => {
  await using app = await startGrpc();
  expect(await app.call("two shirts", sender())).toBe("two shirts");
  await expect(app.call("forbidden")).rejects.toMatchObject({ code: status.UNKNOWN });
});
