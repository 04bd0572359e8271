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
import { extractRpcContext } from "../index.js";

// Many runs of a property, on machines that are busy with other things too.
const TIME_LIMIT_MS = 60_000;

const from = sender();
const fields = Object.fromEntries(from.headers);
const bytes = Object.fromEntries(from.headers.map(([key, value]) => [key, Buffer.from(value)]));

/** As the client of NATS has them: exact letter case, several values. */
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
  const made = new Metadata();
  for (const [key, value] of from.headers) made.set(key, value);
  return made;
}

// Contexts as Nest's servers make them; what lies beside the headers does not matter here.
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

test.each(contexts)("the sender is found in the context of %s", (_transport, rpc) => {
  using _spans = recordSpans({ propagator: w3cPropagator() });

  const found = extractRpcContext(rpc);

  expect(trace.getSpanContext(found)).toMatchObject({
    traceId: from.traceId,
    spanId: from.spanId,
    isRemote: true,
  });
  expect(propagation.getBaggage(found)?.getEntry("tenant.id")?.value).toBe("acme");
});

test("letters of keys may be large, as Go's NATS client writes them", () => {
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
  ["one that throws", { getSubject: (): string => "x", getHeaders: boom }],
])("%s gives the base without what was active in it", (_what, rpc) => {
  using spans = recordSpans({ propagator: w3cPropagator() });
  const span = spans.tracer().startSpan("ambient");
  const base = propagation.setBaggage(
    trace.setSpan(ROOT_CONTEXT, span),
    propagation.createBaggage({ secret: { value: "yes" } }),
  );

  const found = context.with(base, () => extractRpcContext(rpc));
  span.end();

  expect(trace.getSpanContext(found)).toBeUndefined();
  expect(propagation.getBaggage(found)).toBeUndefined();
});

function boom(): never {
  throw new Error("no headers here");
}

test(
  "no metadata of a stranger makes extraction throw, or invents a sender",
  () => {
    using _spans = recordSpans({ propagator: w3cPropagator() });
    const strange = fc.oneof(
      fc.anything({ withNullPrototype: true, withMap: true, withTypedArray: true }),
      fc.dictionary(
        fc.constantFrom("traceparent", "TraceParent", "tracestate", "baggage", "__proto__"),
        fc.anything(),
      ),
    );
    fc.assert(
      fc.property(strange, (headers) => {
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
  },
  TIME_LIMIT_MS,
);
