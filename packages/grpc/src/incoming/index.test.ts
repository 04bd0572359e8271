import {
  type handleUnaryCall,
  Metadata,
  Server,
  ServerInterceptingCall,
  type ServerInterceptor,
  type ServerOptions,
} from "@grpc/grpc-js";
import { context, createContextKey, propagation, SpanKind, trace } from "@opentelemetry/api";
import { w3cPropagator } from "@traceferry/core";
import { sender } from "@traceferry/testkit";
import { recordSpans } from "@traceferry/testkit/record";
import { describe, expect, test } from "vitest";
import { loopback, markPatched, metadataOf, overrideCalls } from "../loopback.test-support.js";
import type { GrpcTracingOptions, IncomingCall } from "../options.js";
import { serverInterceptor, withServerTracing } from "./index.js";

const answerAtOnce: handleUnaryCall<string, string> = (_call, answer) => answer(null, "done");
const activeSpanId = () => trace.getSpanContext(context.active())?.spanId;

describe("a server with tracing", () => {
  test("makes one SERVER span for a call, and names it as the conventions say", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    using shop = await loopback({ place: answerAtOnce }, withServerTracing());
    const from = sender();

    await shop.client.placeAsync("one order", metadataOf(from.headers));

    expect(spans.ended).toHaveLength(1);
    expect(spans.named("shop.v1.Orders/Place")).toMatchObject({
      kind: "SERVER",
      traceId: from.traceId,
      parentSpanId: from.spanId,
      scope: "@traceferry/grpc",
      status: { code: "UNSET" },
      attributes: {
        "rpc.system.name": "grpc",
        "rpc.method": "shop.v1.Orders/Place",
        "rpc.status_code": "OK",
        "server.address": "127.0.0.1",
        "server.port": shop.port,
        "network.peer.address": "127.0.0.1",
        "network.peer.port": expect.any(Number),
      },
    });
  });

  test("keeps the other options of its server, and does not change the given object", async () => {
    using spans = recordSpans();
    let passed = 0;
    const userInterceptor: ServerInterceptor = (_definition, nextCall) => {
      passed++;
      return new ServerInterceptingCall(nextCall);
    };
    const serverOptions = Object.freeze({
      "grpc.max_concurrent_streams": 7,
      interceptors: [userInterceptor],
    });

    const options = withServerTracing(serverOptions);
    using shop = await loopback({ place: answerAtOnce }, options);
    await shop.client.placeAsync("one order");

    expect(options["grpc.max_concurrent_streams"]).toBe(7);
    expect(serverOptions.interceptors).toEqual([userInterceptor]);
    expect(passed).toBe(1);
    expect(spans.ended).toHaveLength(1);
  });

  test("makes one span where its options were wrapped twice", async () => {
    using spans = recordSpans();
    const interceptors = [serverInterceptor()];
    using shop = await loopback(
      { place: answerAtOnce },
      withServerTracing(withServerTracing({ interceptors })),
    );

    await shop.client.placeAsync("one order");

    expect(spans.ended).toHaveLength(1);
  });

  test("shows its span to interceptors after it, and keeps what one before it put into the context", async () => {
    using spans = recordSpans();
    const key = createContextKey("tenant");
    const seen: unknown[] = [];
    const after: ServerInterceptor = (_definition, nextCall) =>
      new ServerInterceptingCall(nextCall, {
        start: (next) =>
          next({
            onReceiveMetadata(metadata, proceed) {
              seen.push(activeSpanId(), context.active().getValue(key));
              proceed(metadata);
            },
          }),
      });
    const { interceptors = [] } = withServerTracing({ interceptors: [after] });
    using shop = await loopback(
      {
        place(_call, answer) {
          seen.push(activeSpanId(), context.active().getValue(key));
          answer(null, "done");
        },
      },
      { interceptors: [inContext(key, "acme"), ...interceptors] },
    );

    await shop.client.placeAsync("one order");

    const { spanId } = spans.named("shop.v1.Orders/Place");
    expect(seen).toEqual([spanId, "acme", spanId, "acme"]);
  });

  test("calls the function of the option relation with the path, metadata and peer of each call", async () => {
    using spans = recordSpans();
    const asked: Pick<IncomingCall, "path" | "peer">[] = [];
    const options: GrpcTracingOptions = {
      relation({ path, metadata, peer }) {
        asked.push({ path, peer });
        return metadata.get("x-partner").length > 0 ? "link" : "child";
      },
    };
    using shop = await loopback({ place: answerAtOnce }, withServerTracing({}, options));
    const colleague = sender();
    const partner = sender();

    await shop.client.placeAsync("one order", metadataOf(colleague.headers));
    await shop.client.placeAsync("one order", metadataOf([["x-partner", "1"], ...partner.headers]));

    const peer = expect.stringMatching(/^127\.0\.0\.1:\d+$/);
    expect(asked).toEqual(Array(2).fill({ path: "/shop.v1.Orders/Place", peer }));
    expect(spans.ended.map(({ traceId }) => traceId === colleague.traceId)).toEqual([true, false]);
    expect(spans.ended[1]?.links.map(({ spanId }) => spanId)).toEqual([partner.spanId]);
  });
});

describe("a call that is ignored", () => {
  test("has no span, but its handler runs in the sender's trace", async () => {
    using spans = recordSpans();
    const seen: unknown[] = [];
    const ignore = (path: string) => path.startsWith("/shop.v1.Orders/P");
    using shop = await loopback(
      {
        place(_call, answer) {
          const { traceId, spanId } = trace.getSpanContext(context.active()) ?? {};
          seen.push(traceId, spanId, propagation.getActiveBaggage()?.getEntry("tenant.id")?.value);
          answer(null, "done");
        },
      },
      withServerTracing({}, { ignore }),
    );
    const from = sender();

    await shop.client.placeAsync("one order", metadataOf(from.headers));

    expect(seen).toEqual([from.traceId, from.spanId, "acme"]);
    expect(spans.ended).toEqual([]);
    expect(spans.open).toEqual([]);
  });

  test("is not ignored when the function throws, which is reported", async () => {
    using spans = recordSpans();
    const ignore = () => {
      throw new RangeError("no such path");
    };
    using shop = await loopback({ place: answerAtOnce }, withServerTracing({}, { ignore }));

    await shop.client.placeAsync("one order");

    expect(spans.ended).toHaveLength(1);
    expect(spans.warnings.join()).toContain("grpc: ignore: RangeError: no such path");
  });

  test("is not ignored by a promise, whatever it resolves to", async () => {
    using spans = recordSpans();
    const options: GrpcTracingOptions = {};
    Reflect.set(options, "ignore", async () => true);
    using shop = await loopback({ place: answerAtOnce }, withServerTracing({}, options));

    await shop.client.placeAsync("one order");

    expect(spans.ended).toHaveLength(1);
  });

  test("is refused as an option that is not a function", () => {
    const wrong: GrpcTracingOptions = JSON.parse('{ "ignore": "/grpc.health.v1.Health/" }');

    expect(() => withServerTracing({}, wrong)).toThrow(/"ignore" must be a function.*Health/);
    expect(() => serverInterceptor({ maxBytes: -1 })).toThrow(TypeError);
  });
});

test("where instrumentation-grpc has patched the server its span is the only one, and continues the sender", async () => {
  using spans = recordSpans();
  using _ = markPatched(Server.prototype.register);
  const from = sender();
  // The patch of `register` runs every handler in a span like this one, extracted from the metadata.
  const patchedHandler: handleUnaryCall<string, string> = (call, answer) => {
    const parent = propagation.extract(context.active(), call.metadata, {
      get: (metadata, key) => metadata.get(key).map(String),
      keys: (metadata) => Object.keys(metadata.getMap()),
    });
    const span = spans.tracer("patch").startSpan("patched", { kind: SpanKind.SERVER }, parent);
    answer(null, String(activeSpanId()));
    span.end();
  };
  using shop = await loopback({ place: patchedHandler }, withServerTracing());

  const activeInHandler = await shop.client.placeAsync("one order", metadataOf(from.headers));

  expect(activeInHandler).toBe(from.spanId);
  expect(spans.ended.map(({ scope, parentSpanId }) => [scope, parentSpanId])).toEqual([
    ["patch", from.spanId],
  ]);
  expect(spans.warnings.join()).toContain("instrumentation-grpc is active");
});

test("where the patch of instrumentation-grpc is off again the server has its span", async () => {
  using spans = recordSpans();
  using _ = markPatched(Server.prototype.register, false);
  using shop = await loopback({ place: answerAtOnce }, withServerTracing());

  await shop.client.placeAsync("one order");

  expect(spans.ended).toHaveLength(1);
  expect(spans.warnings).toEqual([]);
});

test("a server works with an older grpc-js, whose calls have neither getHost nor getConnectionInfo", async () => {
  using spans = recordSpans();
  const older = overrideCalls({ getHost: undefined, getConnectionInfo: undefined });
  using shop = await loopback(
    { place: answerAtOnce },
    { interceptors: [older, serverInterceptor()] },
  );

  await shop.client.placeAsync("one order", new Metadata());

  const { attributes } = spans.named("shop.v1.Orders/Place");
  expect(attributes).toMatchObject({ "network.peer.address": "127.0.0.1" });
  expect(attributes["server.address"]).toBeUndefined();
});

test("a host of more than 300 characters is not recorded", async () => {
  using spans = recordSpans();
  using shop = await loopback({ place: answerAtOnce }, withServerTracing(), {
    "grpc.default_authority": "x".repeat(301),
  });

  await shop.client.placeAsync("one order");

  expect(spans.named("shop.v1.Orders/Place").attributes["server.address"]).toBeUndefined();
});

test("the peer's address is the connection's, also where getPeer does not know it", async () => {
  using spans = recordSpans();
  const nameless = overrideCalls({ getPeer: () => "unknown" });
  using shop = await loopback(
    { place: answerAtOnce },
    { interceptors: [nameless, serverInterceptor()] },
  );

  await shop.client.placeAsync("one order");

  const { attributes } = spans.named("shop.v1.Orders/Place");
  expect(attributes).toMatchObject({ "network.peer.address": "127.0.0.1" });
});

test("a call whose span cannot be started is handled all the same, in the context it arrived in", async () => {
  using spans = recordSpans();
  const key = createContextKey("tenant");
  const hostless = overrideCalls({
    getHost() {
      throw new RangeError("no host");
    },
  });
  using shop = await loopback(
    { collect: (_call, answer) => answer(null, String(context.active().getValue(key))) },
    { interceptors: [inContext(key, "acme"), hostless, serverInterceptor()] },
  );

  const seen = await new Promise((resolve) => {
    shop.client.collect((_error, answer) => resolve(answer)).end();
  });

  expect(seen).toBe("acme");
  expect(spans.warnings).toEqual([
    expect.stringContaining("grpc: start span: RangeError: no host"),
  ]);
  expect([...spans.open, ...spans.ended]).toEqual([]);
});

/** Returns an interceptor that puts a value into the context of its calls. */
function inContext(key: symbol, value: string): ServerInterceptor {
  return (_definition, nextCall) =>
    new (class extends ServerInterceptingCall {
      override start(listener: Parameters<ServerInterceptingCall["start"]>[0]): void {
        context.with(context.active().setValue(key, value), () => super.start(listener));
      }
    })(nextCall);
}

test("interceptors that are null are none, as grpc-js takes them", () => {
  const options: ServerOptions = JSON.parse('{ "interceptors": null }');

  expect(withServerTracing(options).interceptors).toHaveLength(1);
});
