import {
  type handleUnaryCall,
  Metadata,
  Server,
  ServerInterceptingCall,
  type ServerInterceptor,
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

  test("keeps the options it was given, and changes none of them", async () => {
    using spans = recordSpans();
    let passed = 0;
    const theirs: ServerInterceptor = (_definition, wire) => {
      passed++;
      return new ServerInterceptingCall(wire);
    };
    const given = Object.freeze({
      "grpc.max_concurrent_streams": 7,
      interceptors: [theirs],
    });

    const options = withServerTracing(given);
    using shop = await loopback({ place: answerAtOnce }, options);
    await shop.client.placeAsync("one order");

    expect(options["grpc.max_concurrent_streams"]).toBe(7);
    expect(given.interceptors).toEqual([theirs]);
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

  test("lets interceptors behind it see the span, and keeps what one before it put into the context", async () => {
    using spans = recordSpans();
    const key = createContextKey("tenant");
    const seen: unknown[] = [];
    const behind: ServerInterceptor = (_definition, wire) =>
      new ServerInterceptingCall(wire, {
        start: (next) =>
          next({
            onReceiveMetadata(metadata, proceed) {
              seen.push(activeSpanId(), context.active().getValue(key));
              proceed(metadata);
            },
          }),
      });
    const { interceptors = [] } = withServerTracing({ interceptors: [behind] });
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

  test("asks a function what a call is to its sender, and tells it path, metadata and peer", async () => {
    using spans = recordSpans();
    const asked: Pick<IncomingCall, "path" | "peer">[] = [];
    const options: GrpcTracingOptions = {
      relation({ path, metadata, peer }) {
        asked.push({ path, peer });
        return metadata.get("x-partner").length > 0 ? "link" : "child";
      },
    };
    using shop = await loopback({ place: answerAtOnce }, withServerTracing({}, options));
    const ours = sender();
    const partner = sender();

    await shop.client.placeAsync("one order", metadataOf(ours.headers));
    await shop.client.placeAsync("one order", metadataOf([["x-partner", "1"], ...partner.headers]));

    const peer = expect.stringMatching(/^127\.0\.0\.1:\d+$/);
    expect(asked).toEqual(Array(2).fill({ path: "/shop.v1.Orders/Place", peer }));
    expect(spans.ended.map(({ traceId }) => traceId === ours.traceId)).toEqual([true, false]);
    expect(spans.ended[1]?.links.map(({ spanId }) => spanId)).toEqual([partner.spanId]);
  });
});

describe("a call that is ignored", () => {
  test("has no span, but its handler works in the sender's trace", async () => {
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

  test("is not ignored by a promise, whatever that will say", async () => {
    using spans = recordSpans();
    const options: GrpcTracingOptions = {};
    Reflect.set(options, "ignore", async () => true);
    using shop = await loopback({ place: answerAtOnce }, withServerTracing({}, options));

    await shop.client.placeAsync("one order");

    expect(spans.ended).toHaveLength(1);
  });

  test("cannot be named by anything but a function", () => {
    const wrong: GrpcTracingOptions = JSON.parse('{ "ignore": "/grpc.health.v1.Health/" }');

    expect(() => withServerTracing({}, wrong)).toThrow(/"ignore" must be a function.*Health/);
    expect(() => serverInterceptor({ maxBytes: -1 })).toThrow(TypeError);
  });
});

test("where instrumentation-grpc has patched the server its span is the only one, and whole", async () => {
  using spans = recordSpans();
  using _ = markPatched(Server.prototype.register);
  const from = sender();
  // As its patch of `register` runs every handler: from the metadata, whatever is active.
  const patchedHandler: handleUnaryCall<string, string> = (call, answer) => {
    const parent = propagation.extract(context.active(), call.metadata, {
      get: (metadata, key) => metadata.get(key).map(String),
      keys: (metadata) => Object.keys(metadata.getMap()),
    });
    const span = spans.tracer("theirs").startSpan("theirs", { kind: SpanKind.SERVER }, parent);
    answer(null, String(activeSpanId()));
    span.end();
  };
  using shop = await loopback({ place: patchedHandler }, withServerTracing());

  const seenBefore = await shop.client.placeAsync("one order", metadataOf(from.headers));

  expect(seenBefore).toBe(from.spanId);
  expect(spans.ended.map(({ scope, parentSpanId }) => [scope, parentSpanId])).toEqual([
    ["theirs", from.spanId],
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

test("a server of an older grpc-js, which knows no host and no connection, is served too", async () => {
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

test("a host that is too long to be one is not told", async () => {
  using spans = recordSpans();
  using shop = await loopback({ place: answerAtOnce }, withServerTracing(), {
    "grpc.default_authority": "x".repeat(301),
  });

  await shop.client.placeAsync("one order");

  expect(spans.named("shop.v1.Orders/Place").attributes["server.address"]).toBeUndefined();
});

test("the peer is the one of the connection, also where grpc-js does not name it", async () => {
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

test("a call whose span cannot be made is served all the same, in the context it came in", async () => {
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
  expect(spans.warnings).toEqual([expect.stringContaining("grpc: receive: RangeError: no host")]);
  expect([...spans.open, ...spans.ended]).toEqual([]);
});

/** An interceptor that puts a value into the context of its calls. */
function inContext(key: symbol, value: string): ServerInterceptor {
  return (_definition, wire) =>
    new (class extends ServerInterceptingCall {
      override start(listener: Parameters<ServerInterceptingCall["start"]>[0]): void {
        context.with(context.active().setValue(key, value), () => super.start(listener));
      }
    })(wire);
}
