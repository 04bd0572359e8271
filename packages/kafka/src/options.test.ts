import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { traceConsumer, traceEachMessage, traceKafka, traceProducer } from "./index.js";
import { FakeBroker, FakeKafka } from "./kafkajs.test.fake.js";
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

test("spans name the version of the package", async () => {
  const manifest: unknown = JSON.parse(
    await readFile(new URL("../package.json", import.meta.url), "utf8"),
  );
  expect(manifest).toHaveProperty("version", VERSION);
});
