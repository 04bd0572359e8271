import { w3cPropagator } from "@traceferry/core";
import { recordSpans } from "@traceferry/testkit/record";
import { type Consumer, type EachMessagePayload, Kafka, logLevel, type Producer } from "kafkajs";
import { describe, expect, expectTypeOf, test } from "vitest";
import { FakeBroker, FakeKafka } from "./fake-kafkajs.test-support.js";
import {
  type ConsumerOptions,
  traceConsumer,
  traceEachMessage,
  traceKafka,
  traceProducer,
} from "./index.js";

const realKafka = () => new Kafka({ brokers: ["localhost:1"], logLevel: logLevel.NOTHING });

test("a client keeps its type, and so do its producers, consumers and transactions", () => {
  const kafka = traceKafka(realKafka(), {
    relation: ({ topic }) => (topic === "audit" ? "link" : "child"),
  });

  expectTypeOf(kafka).toEqualTypeOf<Kafka>();
  expectTypeOf(kafka.producer()).toEqualTypeOf<Producer>();
  expectTypeOf(kafka.consumer({ groupId: "billing" })).toEqualTypeOf<Consumer>();
  expectTypeOf(traceProducer(realKafka().producer())).toEqualTypeOf<Producer>();
  expectTypeOf(
    traceConsumer(realKafka().consumer({ groupId: "billing" })),
  ).toEqualTypeOf<Consumer>();
  const handler = traceEachMessage(async ({ message }: EachMessagePayload) => {
    expectTypeOf(message.value).toEqualTypeOf<Buffer | null>();
  });
  expectTypeOf(handler).toEqualTypeOf<(payload: EachMessagePayload) => Promise<void>>();
  // The handler's type is inferred from the configuration's.
  const config: Parameters<Consumer["run"]>[0] = {
    eachMessage: traceEachMessage(async ({ message, heartbeat }) => {
      expectTypeOf(message.value).toEqualTypeOf<Buffer | null>();
      await heartbeat();
    }),
  };
  expect(config).toBeDefined();
});

test("a real client of kafkajs keeps its class and its behaviour", async () => {
  const untraced = realKafka();
  const kafka = traceKafka(untraced);

  expect(kafka).toBeInstanceOf(Kafka);
  expect(kafka.logger()).toBe(untraced.logger());
  expect(kafka.admin()).toHaveProperty("createTopics");
  expect(kafka.producer().events.CONNECT).toBe("producer.connect");
  expect(() => kafka.consumer({ groupId: "" })).toThrow(
    "Consumer groupId must be a non-empty string",
  );
  expect(() => Reflect.apply(kafka.producer().on, undefined, ["no event", () => {}])).toThrow(
    "Event name should be one of",
  );
  await expect(
    kafka.producer().send({ topic: "orders", messages: [{ value: "a" }] }),
  ).rejects.toThrow("The producer is disconnected");
  await expect(
    Reflect.apply(kafka.producer().send, undefined, [{ topic: "orders" }]),
  ).rejects.toThrow("Invalid messages array");
});

test("a client with private state works, and is not changed", () => {
  const untraced = new FakeKafka(new FakeBroker({ orders: 1 }));
  const before = Reflect.ownKeys(untraced);
  const kafka = traceKafka(untraced);

  expect(kafka).toBeInstanceOf(FakeKafka);
  expect(kafka.logger()).toBe("private");
  expect(kafka.admin().of).toBe(untraced);
  expect(kafka.logger).toBe(kafka.logger);
  expect(kafka.constructor).toBe(FakeKafka);
  expect(String(kafka)).toBe(String(untraced));
  expect(Reflect.ownKeys(untraced)).toEqual(before);
  expect(Object.hasOwn(FakeKafka.prototype, "producer")).toBe(true);
});

test("what is written to a traced client reaches the client", () => {
  const untraced = new FakeKafka(new FakeBroker({ orders: 1 }));
  const kafka = traceKafka(untraced);
  const gate = Promise.resolve();

  kafka.gate = gate;

  expect(untraced.gate).toBe(gate);
  expect(kafka.gate).toBe(gate);
});

test("the client's name is on the spans of its producers and consumers", async () => {
  using spans = recordSpans({ propagator: w3cPropagator() });
  const kafka = traceKafka(new FakeKafka(new FakeBroker({ orders: 1 })), { clientId: "shop" });
  const consumer = kafka.consumer({ groupId: "billing" });

  await kafka.producer().send({ topic: "orders", messages: [{ value: "a" }] });
  await consumer.run({ eachMessage: async () => {} });
  await consumer.deliver("orders", 0, 0);

  expect(
    spans.ended.map(({ name, attributes }) => [name, attributes["messaging.client.id"]]),
  ).toEqual([
    ["send orders", "shop"],
    ["process orders", "shop"],
  ]);
});

describe("a fake client in an application's test", () => {
  test("may have no producers and no consumers", () => {
    using _ = recordSpans({ propagator: w3cPropagator() });
    const untraced = new FakeKafka(new FakeBroker({}));
    Reflect.set(untraced, "producer", () => null);
    Reflect.set(untraced, "consumer", () => null);
    const kafka = traceKafka(untraced);

    expect([kafka.producer(), kafka.consumer({ groupId: "billing" })]).toEqual([null, null]);
  });

  test.each<[string, unknown[], ConsumerOptions, string | undefined]>([
    ["no configuration", [], {}, undefined],
    ["no group", [{}], {}, undefined],
    ["a group that is no text", [{ groupId: 7 }], {}, undefined],
    ["a group", [{ groupId: "billing" }], {}, "billing"],
    ["no group, where the options name one", [{}], { groupId: "audit" }, "audit"],
  ])("may have consumers of %s", async (_, args, options, group) => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    const untraced = new FakeKafka(new FakeBroker({ orders: 1 }));
    const consumerOfClient = untraced.consumer({ groupId: "other" });
    untraced.broker.partition("orders", 0).push({ key: null, value: null, headers: [] });
    const kafka = traceKafka(
      { producer: () => untraced.producer(), consumer: () => consumerOfClient },
      options,
    );

    const consumer: typeof consumerOfClient = Reflect.apply(kafka.consumer, undefined, args);
    await consumer.run({ eachMessage: async () => {} });
    await consumer.deliver("orders", 0, 0);

    expect(spans.named("process orders").attributes["messaging.consumer.group.name"]).toBe(group);
  });
});

test("a producer's methods keep their identity, and follow when the client's are replaced", async () => {
  using spans = recordSpans({ propagator: w3cPropagator() });
  const untraced = new FakeKafka(new FakeBroker({ orders: 1 })).producer();
  const producer = traceProducer(untraced);
  const { send, connect } = producer;

  expect(producer.send).toBe(send);
  expect(connect).toBe(untraced.connect);
  untraced.send = async () => [];

  expect(await producer.send({ topic: "orders", messages: [{ value: "a" }] })).toEqual([]);
  expect(spans.named("send orders").status.code).toBe("UNSET");
});

test("what is traced already is not traced twice", async () => {
  using spans = recordSpans({ propagator: w3cPropagator() });
  const kafka = traceKafka(new FakeKafka(new FakeBroker({ orders: 1 })));
  const consumer = kafka.consumer({ groupId: "billing" });
  expect(traceKafka(kafka)).toBe(kafka);
  expect(traceConsumer(consumer)).toBe(consumer);

  const producer = traceProducer(kafka.producer());
  await producer.send({ topic: "orders", messages: [{ value: "a" }] });
  await consumer.run({ eachMessage: async () => {} });
  await consumer.deliver("orders", 0, 0);

  expect(spans.ended.map(({ name }) => name)).toEqual(["send orders", "process orders"]);
  expect(spans.named("process orders").attributes["messaging.consumer.group.name"]).toBe("billing");
});

test("a producer without prototype keeps its methods", () => {
  const untraced = new FakeKafka(new FakeBroker({ orders: 1 })).producer();
  const plain: typeof untraced = Object.assign(Object.create(null), untraced);

  expect(traceProducer(plain).connect).toBe(untraced.connect);
});

test("a sealed producer is traced", async () => {
  using spans = recordSpans({ propagator: w3cPropagator() });
  const producer = traceProducer(
    Object.seal(new FakeKafka(new FakeBroker({ orders: 1 })).producer()),
  );

  await producer.send({ topic: "orders", messages: [{ value: "a" }] });

  expect(spans.ended.map(({ name }) => name)).toEqual(["send orders"]);
});

test("a frozen producer stays untraced rather than break", async () => {
  using spans = recordSpans({ propagator: w3cPropagator() });
  const broker = new FakeBroker({ orders: 1 });
  const producer = traceProducer(Object.freeze(new FakeKafka(broker).producer()));

  await producer.send({ topic: "orders", messages: [{ value: "a" }] });

  expect(broker.partition("orders", 0).length).toBe(1);
  expect(spans.ended).toEqual([]);
});
