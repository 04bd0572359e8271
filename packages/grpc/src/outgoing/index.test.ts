import {
  type CallOptions,
  Channel,
  Client,
  type ClientOptions,
  InterceptingCall,
  type Interceptor,
  InterceptorConfigurationError,
  Metadata,
} from "@grpc/grpc-js";
import { context, SpanKind, trace } from "@opentelemetry/api";
import { w3cPropagator } from "@traceferry/core";
import { sender } from "@traceferry/testkit";
import { type RecordedSpans, recordSpans } from "@traceferry/testkit/record";
import { describe, expect, test, vi } from "vitest";
import { injectMetadata } from "../carrier/index.js";
import { echoServer, headersIn } from "../echo-server.test-support.js";
import {
  loopback,
  markPatched,
  metadataOf,
  OrdersClient,
  SLOW_TEST,
} from "../loopback.test-support.js";
import { clientInterceptor, withClientTracing } from "./index.js";

/** Calls an echo server with a client of these options; returns the traceparents of each call. */
async function traceparents(
  options: ClientOptions,
  ...calls: (CallOptions | undefined)[]
): Promise<string[][]> {
  await using echo = await echoServer();
  using client = new OrdersClient(echo.port, options);
  const arrived: string[][] = [];
  for (const call of calls.length === 0 ? [undefined] : calls) {
    const headers = headersIn(await client.placeAsync("one order", new Metadata(), call));
    arrived.push(headers.filter(([key]) => key === "traceparent").map(([, value]) => value));
  }
  return arrived;
}

/** Expects one traceparent in each call: that of the span that ended. */
function expectOneEach(spans: RecordedSpans, arrived: string[][]): void {
  expect(arrived).toEqual(spans.ended.map(({ traceId, spanId }) => [`00-${traceId}-${spanId}-01`]));
}

function namedInterceptor(name: string, ran: string[]): Interceptor {
  return (options, nextCall) => {
    ran.push(name);
    return new InterceptingCall(nextCall(options));
  };
}

describe("a client with tracing", () => {
  test("makes one CLIENT span for a call, and names it as the conventions say", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    await using echo = await echoServer();
    using client = new OrdersClient(echo.port, withClientTracing());

    await client.placeAsync("one order");

    expect(spans.ended).toHaveLength(1);
    expect(spans.named("shop.v1.Orders/Place")).toMatchObject({
      kind: "CLIENT",
      scope: "@traceferry/grpc",
      status: { code: "UNSET" },
      attributes: {
        "rpc.system.name": "grpc",
        "rpc.method": "shop.v1.Orders/Place",
        "rpc.status_code": "OK",
        "server.address": "127.0.0.1",
        "server.port": echo.port,
        "network.peer.address": "127.0.0.1",
        "network.peer.port": echo.port,
      },
    });
  });

  test("keeps the interceptors of its client, after ours", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    const ran: string[] = [];
    const clientOptions = Object.freeze({
      interceptors: Object.freeze([namedInterceptor("user's", ran)]).slice(),
    });

    expectOneEach(spans, await traceparents(withClientTracing(clientOptions)));

    expect(ran).toEqual(["user's"]);
    expect(clientOptions.interceptors).toHaveLength(1);
  });

  test("keeps the interceptor providers of its client", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    const ran: string[] = [];
    const userInterceptor = namedInterceptor("user's", ran);

    const options = withClientTracing({ interceptor_providers: [() => userInterceptor] });

    expectOneEach(spans, await traceparents(options));
    expect(ran).toEqual(["user's"]);
  });

  test("keeps the interceptors of a call, which replace the client's", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    const ran: string[] = [];
    const options = withClientTracing({ interceptors: [namedInterceptor("the client's", ran)] });

    const arrived = await traceparents(
      options,
      Object.freeze({ interceptors: [namedInterceptor("the call's", ran)] }),
      { interceptor_providers: [() => namedInterceptor("provided", ran)] },
      { interceptors: [] },
      { interceptor_providers: [] },
    );

    expect(ran).toEqual(["the call's", "provided", "the client's", "the client's"]);
    expect(spans.ended).toHaveLength(4);
    expectOneEach(spans, arrived);
  });

  test("refuses interceptors and providers together, as a client without tracing does", async () => {
    using spans = recordSpans();
    const both = {
      interceptors: [namedInterceptor("", [])],
      interceptor_providers: [() => namedInterceptor("", [])],
    };
    await using echo = await echoServer();
    using client = new OrdersClient(echo.port, withClientTracing());

    expect(() => new OrdersClient(echo.port, withClientTracing(both))).toThrow(/Both interceptors/);
    await expect(client.placeAsync("one order", new Metadata(), both)).rejects.toThrow(
      InterceptorConfigurationError,
    );
    expect(spans.open).toEqual([]);
  });

  test("keeps the transformer of its client, and sends what that returns", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    await using echo = await echoServer();
    const options = withClientTracing({
      callInvocationTransformer: (properties) => {
        const metadata = properties.metadata.clone();
        metadata.set("x-transformed", "yes");
        return Object.freeze({ ...properties, metadata });
      },
    });
    using client = new OrdersClient(echo.port, options);

    const headers = headersIn(await client.placeAsync("one order"));

    const { traceId, spanId } = spans.named("shop.v1.Orders/Place");
    expect(headers).toEqual([
      ["x-transformed", "yes"],
      ["traceparent", `00-${traceId}-${spanId}-01`],
    ]);
    expect(spans.warnings).toEqual([]);
  });

  test.each<[string, () => ClientOptions]>([
    ["its options wrapped twice", () => withClientTracing(withClientTracing())],
    [
      "its options wrapped twice, with providers",
      () =>
        withClientTracing(
          withClientTracing({ interceptor_providers: [() => namedInterceptor("", [])] }),
        ),
    ],
    [
      "our interceptor in its list",
      () => withClientTracing({ interceptors: [clientInterceptor()] }),
    ],
  ])("makes one span with %s", async (_, options) => {
    using spans = recordSpans({ propagator: w3cPropagator() });

    const arrived = await traceparents(options(), {}, { interceptors: [clientInterceptor()] });

    expect(spans.ended).toHaveLength(2);
    expectOneEach(spans, arrived);
    expect(spans.ended.map(({ attributes }) => attributes["server.address"])).toEqual(
      Array(2).fill("127.0.0.1"),
    );
  });

  test("traces by its interceptor alone, without the server's address", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });

    expectOneEach(spans, await traceparents({ interceptors: [clientInterceptor()] }));

    const [span] = spans.ended;
    expect(span?.attributes["server.address"]).toBeUndefined();
    expect(span?.attributes["network.peer.address"]).toBe("127.0.0.1");
  });

  test(
    "gives five hundred concurrent calls that share metadata each its own traceparent",
    SLOW_TEST,
    async () => {
      using spans = recordSpans({ propagator: w3cPropagator() });
      await using echo = await echoServer();
      using client = new OrdersClient(echo.port, withClientTracing());
      const shared = metadataOf([["x-tenant", "acme"], ...sender().headers]);
      Object.freeze(shared);
      const before = structuredClone(shared.toJSON());

      const calls = Array.from({ length: 500 }, async () => {
        const caller = spans.tracer().startSpan("caller");
        const from = trace.setSpan(context.active(), caller);
        const headers = headersIn(await context.with(from, () => client.placeAsync("one", shared)));
        caller.end();
        return { traceId: caller.spanContext().traceId, headers };
      });

      for (const { traceId, headers } of await Promise.all(calls)) {
        const span = spans.ended.find(
          (ended) => ended.kind === "CLIENT" && ended.traceId === traceId,
        );
        expect(headers).toEqual([
          ["x-tenant", "acme"],
          ["traceparent", `00-${traceId}-${span?.spanId}-01`],
        ]);
      }
      expect(shared.toJSON()).toEqual(before);
    },
  );

  test("replaces the traceparent in metadata that a handler forwards", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    await using echo = await echoServer();
    using onward = new OrdersClient(echo.port, withClientTracing());
    using shop = await loopback({
      place(call, answer) {
        onward.place("one order", call.metadata, {}, answer);
      },
    });

    const headers = headersIn(await shop.client.placeAsync("one", metadataOf(sender().headers)));

    const { traceId, spanId } = spans.named("shop.v1.Orders/Place");
    expect(headers).toEqual([["traceparent", `00-${traceId}-${spanId}-01`]]);
  });
});

test("only streams get a listener for close", async () => {
  using _ = recordSpans();
  using shop = await loopback({}, {}, withClientTracing());
  using untraced = new OrdersClient(shop.port);
  const listeners = (client: OrdersClient) =>
    [
      client.place("one order", new Metadata(), {}, () => undefined),
      client.collect(() => undefined),
      client.list("all").on("error", () => undefined),
      client.chat().on("error", () => undefined),
    ].map((call) => call.listenerCount("close"));

  const [unary, ...streams] = listeners(untraced);

  expect(listeners(shop.client)).toEqual([unary, ...streams.map((count) => count + 1)]);
});

test("a channel is asked for its address once", async () => {
  using _ = recordSpans();
  using getTarget = vi.spyOn(Channel.prototype, "getTarget");

  await traceparents(withClientTracing(), {}, {});

  expect(getTarget).toHaveBeenCalledTimes(1);
});

test("where instrumentation-grpc has patched the client its span is the only one, and sent once", async () => {
  using spans = recordSpans({ propagator: w3cPropagator() });
  using _ = markPatched(Client.prototype.makeUnaryRequest);
  await using echo = await echoServer();
  using client = new OrdersClient(echo.port, withClientTracing());
  // The patch of `makeUnaryRequest` runs every call in a span like this one, with the metadata injected already.
  const patchSpan = spans.tracer("patch").startSpan("patched", { kind: SpanKind.CLIENT });
  const patchedContext = trace.setSpan(context.active(), patchSpan);

  const headers = await context.with(patchedContext, () =>
    client.placeAsync("one", injectMetadata(new Metadata())),
  );
  patchSpan.end();

  const { traceId, spanId } = patchSpan.spanContext();
  expect(headersIn(headers)).toEqual([["traceparent", `00-${traceId}-${spanId}-01`]]);
  expect(spans.ended.map(({ scope }) => scope)).toEqual(["patch"]);
  expect(spans.warnings.join()).toContain("instrumentation-grpc is active");
});

test("where the patch of instrumentation-grpc is off again the client has its span", async () => {
  using spans = recordSpans({ propagator: w3cPropagator() });
  using _ = markPatched(Client.prototype.makeUnaryRequest, false);

  expectOneEach(spans, await traceparents(withClientTracing()));

  expect(spans.ended).toHaveLength(1);
  expect(spans.warnings).toEqual([]);
});

test("a wrong option is refused when the options are made", () => {
  expect(() => withClientTracing({}, JSON.parse('{ "ignore": true }'))).toThrow(/"ignore"/);
  expect(() => clientInterceptor({ maxBytes: 0 })).toThrow(TypeError);
});
