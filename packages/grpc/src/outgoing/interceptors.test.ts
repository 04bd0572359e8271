import { type ClientOptions, InterceptingCall, type Interceptor, Metadata } from "@grpc/grpc-js";
import { context, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { w3cPropagator } from "@traceferry/core";
import { recordSpans } from "@traceferry/testkit/record";
import { describe, expect, test, vi } from "vitest";
import { echoServer, headersIn } from "../echo-server.test-support.js";
import { OrdersClient } from "../loopback.test-support.js";
import { waitForEnded } from "../span-end.test-support.js";
import { clientInterceptor, withClientTracing } from "./index.js";

describe("a call that an interceptor before ours starts in another context", () => {
  // With a listener of its own too.
  const inRootContext: Interceptor = (options, nextCall) =>
    new InterceptingCall(nextCall(options), {
      start: (metadata, _listener, next) => context.with(ROOT_CONTEXT, () => next(metadata, {})),
    });

  test("has its span in its caller's trace", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    await using echo = await echoServer();
    using client = new OrdersClient(echo.port, {
      interceptors: [inRootContext, clientInterceptor()],
    });
    const caller = spans.tracer().startSpan("caller");

    const headers = await context.with(trace.setSpan(context.active(), caller), () =>
      client.placeAsync("one order"),
    );

    const { traceId, spanId, parentSpanId } = spans.named("shop.v1.Orders/Place");
    expect(parentSpanId).toBe(caller.spanContext().spanId);
    expect(headersIn(headers)).toEqual([["traceparent", `00-${traceId}-${spanId}-01`]]);
  });

  test("carries its caller's span, where it is ignored", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    await using echo = await echoServer();
    using client = new OrdersClient(echo.port, {
      interceptors: [inRootContext, clientInterceptor({ ignore: () => true })],
    });
    const caller = spans.tracer().startSpan("caller");

    const headers = await context.with(trace.setSpan(context.active(), caller), () =>
      client.placeAsync("one order"),
    );

    const { traceId, spanId } = caller.spanContext();
    expect(headersIn(headers)).toEqual([["traceparent", `00-${traceId}-${spanId}-01`]]);
  });
});

test("a call that an interceptor before ours makes twice, once without a listener, has two spans", async () => {
  using spans = recordSpans();
  const twice: Interceptor = (options, nextCall) => {
    const first = nextCall(options);
    first.start(new Metadata());
    first.sendMessage("one order");
    first.startRead();
    first.halfClose();
    return new InterceptingCall(nextCall(options));
  };
  await using echo = await echoServer();
  using client = new OrdersClient(echo.port, { interceptors: [twice, clientInterceptor()] });

  await client.placeAsync("one order");

  await waitForEnded(spans, 2);
  expect(spans.ended.map(({ attributes }) => attributes["rpc.status_code"])).toEqual(["OK", "OK"]);
});

describe("a call succeeds all the same", () => {
  const thrown = new RangeError("who knows");
  const throwing = () => {
    throw thrown;
  };

  test("where reading its channel's address throws", async () => {
    using spans = recordSpans();

    await placeOrder({
      callInvocationTransformer: (properties) => ({
        ...properties,
        channel: Object.assign(Object.create(properties.channel), { getTarget: throwing }),
      }),
    });

    expect(spans.warnings).toEqual([expect.stringContaining("grpc: prepare call: RangeError")]);
    const { attributes } = spans.named("shop.v1.Orders/Place");
    expect(attributes).toMatchObject({ "rpc.status_code": "OK" });
    expect(attributes["server.address"]).toBeUndefined();
  });

  test("where reading its peer's address throws", async () => {
    using spans = recordSpans();
    const peerless: Interceptor = (options, nextCall) =>
      Object.assign(new InterceptingCall(nextCall(options)), { getPeer: throwing });

    await placeOrder({ interceptors: [peerless] });

    expect(spans.warnings).toEqual([expect.stringContaining("grpc: peer: RangeError")]);
    const { attributes } = spans.named("shop.v1.Orders/Place");
    expect(attributes).toMatchObject({ "rpc.status_code": "OK" });
    expect(attributes["network.peer.address"]).toBeUndefined();
  });

  test("where cloning its metadata throws: then it carries nothing", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    const metadata = new Metadata();
    vi.spyOn(metadata, "clone").mockImplementationOnce(throwing);

    const headers = await placeOrder({}, metadata);

    expect(headers).toEqual([]);
    expect(spans.warnings).toEqual([expect.stringContaining("grpc: send: RangeError")]);
    expect(spans.named("shop.v1.Orders/Place").attributes["rpc.status_code"]).toBe("OK");
  });

  async function placeOrder(options: ClientOptions, metadata = new Metadata()) {
    await using echo = await echoServer();
    using client = new OrdersClient(echo.port, withClientTracing(options));
    return headersIn(await client.placeAsync("one order", metadata));
  }
});
