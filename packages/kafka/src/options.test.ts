import { readFile } from "node:fs/promises";
import { type TextMapPropagator, type TracerProvider, trace } from "@opentelemetry/api";
import { expect, test } from "vitest";
import { FakeBroker, FakeKafka } from "./fake-kafkajs.test-support.js";
import { traceConsumer, traceEachMessage, traceKafka, traceProducer } from "./index.js";
import { VERSION } from "./version.js";

const kafka = new FakeKafka(new FakeBroker({}));
const wrong = (options: object, name: string) => {
  const producer = kafka.producer();
  const consumer = kafka.consumer({ groupId: "billing" });
  const calls = [
    () => traceKafka(kafka, options),
    () => traceProducer(producer, options),
    () => traceConsumer(consumer, options),
    () => traceEachMessage(() => {}, options),
  ];
  for (const call of calls) expect(call).toThrow(new RegExp(`option "${name}" must be .* but is`));
};

test("a wrong option is told at set-up, by name and value", () => {
  wrong({ clientId: 7 }, "clientId");
  wrong({ groupId: null }, "groupId");
  wrong({ relation: "parent" }, "relation");
  wrong({ maxBytes: 0 }, "maxBytes");
});

test("a wrong option is told with what it may be and what it was", () => {
  expect(() =>
    Reflect.apply(traceProducer, undefined, [kafka.producer(), { clientId: 7 }]),
  ).toThrow(new TypeError('option "clientId" must be a text, but is 7'));
});

test.each([
  ["as much as fits into 8192 bytes", 8192, 1],
  ["nothing that needs one more", 8193, 0],
])("by default a message carries %s", async (_, bytes, headers) => {
  const broker = new FakeBroker({ orders: 1 });
  const propagator: TextMapPropagator = {
    inject: (_context, carrier, setter) => {
      setter.set(carrier, "baggage", "x".repeat(bytes - "baggage".length));
    },
    extract: (from) => from,
    fields: () => ["baggage"],
  };
  const producer = traceProducer(new FakeKafka(broker).producer(), { propagator });

  await producer.send({ topic: "orders", messages: [{ value: "a" }] });

  expect(broker.partition("orders", 0)[0]?.headers).toHaveLength(headers);
});

test("spans name the version of the package", async () => {
  const manifest: unknown = JSON.parse(
    await readFile(new URL("../package.json", import.meta.url), "utf8"),
  );
  const asked: unknown[] = [];
  const tracerProvider: TracerProvider = {
    getTracer: (...args) => {
      asked.push(args);
      return trace.getTracer("test");
    },
  };

  traceEachMessage(() => {}, { tracerProvider })({ topic: "orders", partition: 0, message: {} });

  expect(asked).toEqual([["@traceferry/kafka", VERSION]]);
  expect(manifest).toHaveProperty("version", VERSION);
});
