import { status } from "@grpc/grpc-js";
import { context, propagation, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { serverInterceptor } from "@traceferry/grpc";
import { sender } from "@traceferry/testkit";
import { expect, test, vi } from "vitest";
import { ended, record, seen } from "../recorded.test-support.js";
import { metadataOf } from "../shop.test-support.js";
import { doors, startGrpc } from "./grpc.test-support.js";

test("a call runs in its sender's trace from its guards on", async () => {
  using spans = record();
  await using shop = await startGrpc();
  const from = sender();

  expect(await shop.call("two shirts", from)).toBe("two shirts");

  const span = await ended(spans);
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
  expect(seen).toEqual([
    ["guard", span.spanId],
    ["handler", span.spanId],
    ["handler after await", span.spanId],
  ]);
});

test("the span lasts until the handler's observable has answered", async () => {
  using spans = record();
  await using shop = await startGrpc();

  const answer = shop.call("door");
  await vi.waitFor(() => expect([...doors.keys()]).toEqual(["door"]));
  await new Promise(setImmediate);
  expect(spans.open).toEqual(["shop.Orders/Place"]);
  doors.get("door")?.next({ text: "in" });
  doors.get("door")?.complete();
  await answer;

  await ended(spans);
});

test("a stream of answers is one span, failed when the stream fails", async () => {
  using spans = record();
  await using shop = await startGrpc();

  expect(await shop.client.watch("orders")).toBe(2);
  expect(await ended(spans)).toMatchObject({
    name: "shop.Orders/Watch",
    attributes: { "rpc.status_code": "OK" },
  });

  await expect(shop.client.watch("breaks")).rejects.toMatchObject({ code: status.UNKNOWN });
  const failed = await ended(spans, 2);
  expect(failed.attributes["rpc.status_code"]).toBe("UNKNOWN");
  expect(failed.status.code).toBe("ERROR");
});

test.each([
  // grpc-js hands on what streams in outside of all context; only an interceptor of its own can help.
  ["", [], false],
  [
    ", whose requests arrive in it with the interceptor of @traceferry/grpc",
    [serverInterceptor()],
    true,
  ],
] as const)("a stream of requests is one span%s", async (_with, interceptors, inside) => {
  using spans = record();
  await using shop = await startGrpc("module", [...interceptors]);
  const from = sender();

  await shop.client.collect(["1", "2"], metadataOf(from.headers));

  const span = await ended(spans);
  expect(span).toMatchObject({ name: "shop.Orders/Collect", parentSpanId: from.spanId });
  expect(seen).toEqual([
    ["guard", span.spanId],
    ["stream handler", span.spanId],
    ["request message", inside ? span.spanId : undefined],
    ["request message", inside ? span.spanId : undefined],
  ]);
});

test("a handler that works on the call itself keeps its span until it answers", async () => {
  using spans = record();
  await using shop = await startGrpc();
  const from = sender();

  const answer = await shop.client.collect(["1", "2"], metadataOf(from.headers), "Tally");

  expect(answer).toEqual({ text: "2" });
  expect(await ended(spans)).toMatchObject({
    name: "shop.Orders/Tally",
    parentSpanId: from.spanId,
    attributes: { "rpc.status_code": "OK" },
  });
});

test("an observable that another call completes ends its own call's span", async () => {
  using spans = record();
  await using shop = await startGrpc();
  const from = { first: sender(), second: sender() };
  const answers = [shop.call("door 1", from.first), shop.call("door 2", from.second)];
  await vi.waitFor(() => expect(doors.size).toBe(2));

  // Completed from within the other's context.
  const answer = (door: string) => {
    doors.get(door)?.next({ text: door });
    doors.get(door)?.complete();
  };
  context.with(ROOT_CONTEXT, () => answer("door 2"));
  await answers[1];
  expect((await ended(spans, 1, ["shop.Orders/Place"])).traceId).toBe(from.second.traceId);
  answer("door 1");
  await answers[0];

  expect((await ended(spans, 2)).traceId).toBe(from.first.traceId);
});

test("the span that was active at listen(), and its baggage, never reach a call", async () => {
  using spans = record();
  const ambient = spans.tracer().startSpan("start-up");
  const baggage = propagation.createBaggage({ secret: { value: "yes" } });
  const active = propagation.setBaggage(trace.setSpan(ROOT_CONTEXT, ambient), baggage);
  await using shop = await context.with(active, () => startGrpc());

  await shop.call("two shirts");

  const span = await ended(spans, 1, ["start-up"]);
  ambient.end();
  expect(span.parentSpanId).toBeUndefined();
  expect(span.attributes["traceferry.extraction"]).toBe("missing");
});

test("an interceptor of @traceferry/grpc and the module make one span, also where no sender is", async () => {
  using spans = record();
  await using shop = await startGrpc("module", [serverInterceptor()]);
  const from = sender();

  await shop.call("two shirts", from);
  await shop.call("two shirts");
  await ended(spans, 2);

  const names = spans.ended.map(({ scope, parentSpanId }) => [scope, parentSpanId]);
  expect(names).toEqual([
    ["@traceferry/grpc", from.spanId],
    ["@traceferry/grpc", undefined],
  ]);
  const [first, second] = spans.ended;
  expect(seen.map(([, spanId]) => spanId)).toEqual([
    ...Array(3).fill(first?.spanId),
    ...Array(3).fill(second?.spanId),
  ]);
});

test("without an SDK calls are answered as ever", async () => {
  await using shop = await startGrpc();
  expect(await shop.call("two shirts", sender())).toBe("two shirts");
  await expect(shop.call("intruder")).rejects.toMatchObject({ code: status.UNKNOWN });
});
