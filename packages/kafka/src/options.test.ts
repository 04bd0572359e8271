import { readFile } from "node:fs/promises";
import { type TextMapPropagator, type TracerProvider, trace } from "@opentelemetry/api";
import { expect, test } from "vitest";
import { FakeBroker, FakeKafka } from "./fake-kafkajs.test-support.js";
import { traceConsumer, traceEachMessage, traceKafka, traceProducer } from "./index.js";
import { VERSION } from "./version.js";

const kafka = new FakeKafka(new FakeBroker({}));
const expectRefused = (options: object, name: string) => {
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

test("a wrong option is refused at set-up, and the error names it", () => {
  expectRefused({ clientId: 7 }, "clientId");
  expectRefused({ groupId: null }, "groupId");
  expectRefused({ relation: "parent" }, "relation");
  expectRefused({ maxBytes: 0 }, "maxBytes");
});

test("the error for a wrong option tells the allowed values and the given one", () => {
  expect(() =>
    Reflect.apply(traceProducer, undefined, [kafka.producer(), { clientId: 7 }]),
  ).toThrow(new TypeError('option "clientId" must be a text, but is 7'));
});

test.each([
  ["what fits into 8192 bytes", 8192, 1],
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
  const requested: unknown[] = [];
  const tracerProvider: TracerProvider = {
    getTracer: (...args) => {
      requested.push(args);
      return trace.getTracer("test");
    },
  };

  traceEachMessage(() => {}, { tracerProvider })({ topic: "orders", partition: 0, message: {} });

  expect(requested).toEqual([["@traceferry/kafka", VERSION]]);
  expect(manifest).toHaveProperty("version", VERSION);
});
