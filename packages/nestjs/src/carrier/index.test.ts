import { Metadata } from "@grpc/grpc-js";
import {
  KafkaContext,
  MqttContext,
  NatsContext,
  RedisContext,
  RmqContext,
  TcpContext,
} from "@nestjs/microservices";
import { context, propagation, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { w3cPropagator } from "@traceferry/core";
import { sender } from "@traceferry/testkit";
import { recordSpans } from "@traceferry/testkit/record";
import fc from "fast-check";
import { expect, test } from "vitest";
import { extractRpcContext, injectPacket } from "../index.js";

// A property has many runs, and machines are busy with other things too.
const SLOW_TEST = { timeout: 60_000 };

const from = sender();
const fields = Object.fromEntries(from.headers);
const bytes = Object.fromEntries(from.headers.map(([key, value]) => [key, Buffer.from(value)]));

/** Behaves as the headers of the NATS client: exact letter case, several values. */
class NatsHeaders {
  readonly #entries: Map<string, string[]>;
  constructor(record: Record<string, unknown>) {
    this.#entries = new Map(Object.entries(record).map(([key, value]) => [key, [String(value)]]));
  }
  keys = () => [...this.#entries.keys()];
  values = (key: string) => this.#entries.get(key) ?? [];
  get = (key: string) => this.values(key)[0] ?? "";
}

function metadata(): Metadata {
  const created = new Metadata();
  for (const [key, value] of from.headers) created.set(key, value);
  return created;
}

// The contexts that Nest's servers make, with the headers in them.
const contexts: [transport: string, context: unknown][] = [
  ["TCP", new TcpContext(args("socket", "orders", fields))],
  ["Redis", new RedisContext(args("orders", fields))],
  ["NATS", new NatsContext(args("orders", new NatsHeaders(fields)))],
  ["MQTT", new MqttContext(args("orders", { properties: { userProperties: fields } }))],
  ["RabbitMQ", new RmqContext(args({ properties: { headers: bytes } }, "channel", "orders"))],
  ["Kafka", new KafkaContext(args({ headers: bytes }, 0, "orders"))],
  ["gRPC, by its metadata", metadata()],
  ["gRPC, by its call", { path: "/shop.Orders/Place", metadata: metadata() }],
];

// biome-ignore lint/suspicious/noExplicitAny: Nest's constructors want tuples of classes that no test needs.
function args(...values: unknown[]): any {
  return values;
}

test.each(contexts)("the sender is extracted from the context of %s", (_transport, rpc) => {
  using _spans = recordSpans({ propagator: w3cPropagator() });

  const extracted = extractRpcContext(rpc);

  expect(trace.getSpanContext(extracted)).toMatchObject({
    traceId: from.traceId,
    spanId: from.spanId,
    isRemote: true,
  });
  expect(propagation.getBaggage(extracted)?.getEntry("tenant.id")?.value).toBe("acme");
});

test("keys may be in any letter case: Go's NATS client writes Traceparent", () => {
  using _spans = recordSpans({ propagator: w3cPropagator() });
  const headers = { Traceparent: from.traceparent };
  for (const rpc of [
    new NatsContext(args("orders", new NatsHeaders(headers))),
    new TcpContext(args("socket", "orders", headers)),
    new RmqContext(args({ properties: { headers } }, "channel", "orders")),
  ]) {
    expect(trace.getSpanContext(extractRpcContext(rpc))?.spanId).toBe(from.spanId);
  }
});

test.each([
  ["no context at all", undefined],
  ["a text", "orders"],
  ["an unknown transport's", { getHeaders: () => fields }],
  ["NATS without headers", new NatsContext(args("orders", undefined))],
  ["MQTT 3.1.1", new MqttContext(args("orders", {}))],
  ["RabbitMQ without headers", new RmqContext(args({ properties: {} }, "channel", "orders"))],
  ["one that throws", { getSubject: (): string => "x", getHeaders: throwError }],
])("%s gives the base without what was active in it", (_what, rpc) => {
  using spans = recordSpans({ propagator: w3cPropagator() });
  const span = spans.tracer().startSpan("ambient");
  const base = propagation.setBaggage(
    trace.setSpan(ROOT_CONTEXT, span),
    propagation.createBaggage({ secret: { value: "yes" } }),
  );

  const extracted = context.with(base, () => extractRpcContext(rpc));
  span.end();

  expect(trace.getSpanContext(extracted)).toBeUndefined();
  expect(propagation.getBaggage(extracted)).toBeUndefined();
});

function throwError(): never {
  throw new Error("no headers here");
}

test("no metadata of a stranger makes extraction throw, or invents a sender", SLOW_TEST, () => {
  using _spans = recordSpans({ propagator: w3cPropagator() });
  const arbitraryHeaders = fc.oneof(
    fc.anything({ withNullPrototype: true, withMap: true, withTypedArray: true }),
    fc.dictionary(
      fc.constantFrom("traceparent", "TraceParent", "tracestate", "baggage", "__proto__"),
      fc.anything(),
    ),
  );
  fc.assert(
    fc.property(arbitraryHeaders, (headers) => {
      for (const rpc of [
        new TcpContext(args("socket", "orders", headers)),
        new NatsContext(args("orders", headers)),
        new MqttContext(args("orders", { properties: { userProperties: headers } })),
        new RmqContext(args({ properties: { headers } }, "channel", "orders")),
        new KafkaContext(args({ headers }, 0, "orders")),
      ]) {
        expect(trace.getSpanContext(extractRpcContext(rpc))).toBeUndefined();
      }
    }),
  );
});

const packet = Object.freeze({
  pattern: "orders",
  data: Object.freeze({ size: "XL" }),
  metadata: Object.freeze({ tenant: "acme", TraceParent: "old", baggage: "old=1" }),
});

test("a packet's copy carries the active context, and nothing of an earlier one", () => {
  using spans = recordSpans({ propagator: w3cPropagator() });
  const span = spans.tracer().startSpan("checkout");
  const { traceId, spanId } = span.spanContext();

  const copy = context.with(trace.setSpan(ROOT_CONTEXT, span), () => injectPacket(packet));

  expect(copy).toEqual({
    pattern: "orders",
    data: { size: "XL" },
    metadata: { tenant: "acme", traceparent: `00-${traceId}-${spanId}-01` },
  });
  expect(copy.data).toBe(packet.data);
  expect(packet.metadata.TraceParent).toBe("old");
  span.end();
});

test("the context to inject can be an argument", () => {
  using _spans = recordSpans({ propagator: w3cPropagator() });
  const from = sender();
  const carrier = Object.fromEntries(from.headers);

  const { metadata } = injectPacket(packet, propagation.extract(ROOT_CONTEXT, carrier));

  expect(metadata).toEqual({ tenant: "acme", ...carrier });
});

test("the packet itself comes back where there is nothing to inject", () => {
  expect(injectPacket(packet)).toBe(packet);
  using _spans = recordSpans({ propagator: w3cPropagator() });
  expect(injectPacket(packet)).toBe(packet);
});

test("a key __proto__ stays an ordinary key", () => {
  using spans = recordSpans({ propagator: w3cPropagator() });
  const span = spans.tracer().startSpan("checkout");
  const metadata: Record<string, string> = JSON.parse('{"__proto__":"x","constructor":"y"}');

  const active = trace.setSpan(ROOT_CONTEXT, span);
  const copy = injectPacket({ pattern: "orders", data: 1, metadata }, active);
  span.end();

  expect(Object.keys(copy.metadata)).toEqual(["__proto__", "constructor", "traceparent"]);
  expect(Object.getPrototypeOf(copy.metadata)).toBe(Object.prototype);
});
