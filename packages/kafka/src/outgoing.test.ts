import { context, ROOT_CONTEXT, type TextMapPropagator } from "@opentelemetry/api";
import { suppressTracing } from "@traceferry/core";
import { sender } from "@traceferry/testkit/contract";
import { beforeEach, describe, expect, test } from "vitest";
import { traceProducer } from "./index.js";
import { FakeBroker, FakeKafka } from "./kafkajs.test.fake.js";
import { carried, ids, record, sends, start } from "./sends.test.helper.js";

let broker: FakeBroker;
let bare: ReturnType<FakeKafka["producer"]>;
beforeEach(() => {
  broker = new FakeBroker({ orders: 1, shipments: 1, spread: 3 });
  bare = new FakeKafka(broker).producer();
});

const there = (topic: string, partition?: number) => carried(broker, topic, partition);

test("each message of a call leaves with a context of its own, and its span knows where it lies", async () => {
  using spans = record();
  const caller = start(spans);
  broker.partition("orders", 0).push({ key: null, value: null, headers: [] });

  await caller.run(() =>
    traceProducer(bare, { clientId: "checkout" }).send({
      topic: "orders",
      messages: [{ value: "a" }, { value: "b" }, { value: null }],
    }),
  );
  caller.span.end();

  broker.partition("orders", 0).shift();
  expect(there("orders")).toEqual(sends(spans).map(ids));
  expect(sends(spans).map(({ attributes }) => attributes["kafka.offset"])).toEqual([1, 2, 3]);
  expect(sends(spans)[2]).toMatchObject({
    name: "send orders",
    parentSpanId: caller.span.spanContext().spanId,
    status: { code: "UNSET" },
    attributes: {
      "messaging.system.name": "kafka",
      "messaging.destination.name": "orders",
      "messaging.operation.name": "send",
      "messaging.operation.type": "send",
      "messaging.client.id": "checkout",
      "messaging.destination.partition.id": "0",
      "kafka.offset": 3,
      "kafka.message.tombstone": true,
    },
  });
});

test("a batch to several topics, one of them repeated, is placed as the client merges it", async () => {
  using spans = record();

  await traceProducer(bare).sendBatch({
    topicMessages: [
      { topic: "orders", messages: [{ value: "o0" }] },
      { topic: "shipments", messages: [{ value: "s0" }] },
      { topic: "orders", messages: [{ value: "o1" }] },
    ],
  });

  const byTopic = (topic: string) =>
    sends(spans).filter(({ attributes }) => attributes["messaging.destination.name"] === topic);
  expect(there("orders")).toEqual(byTopic("orders").map(ids));
  expect(there("shipments")).toEqual(byTopic("shipments").map(ids));
  expect(byTopic("orders").map(({ attributes }) => attributes["kafka.offset"])).toEqual([0, 1]);
});

test("messages that ask for a partition tell it from the start, and are placed in it", async () => {
  using spans = record();
  const messages = [2, 0, 2].map((partition) => ({ value: "x", partition }));

  await traceProducer(bare).send({ topic: "spread", messages });

  const places = sends(spans).map(({ attributes }) => [
    attributes["messaging.destination.partition.id"],
    attributes["kafka.offset"],
  ]);
  expect(places).toEqual([
    ["2", 0],
    ["0", 0],
    ["2", 1],
  ]);
  expect(there("spread", 2)).toEqual([0, 2].map((index) => ids(sends(spans)[index] ?? NONE)));
});
const NONE = { traceId: "none", spanId: "none" };

test("no place is told of messages that a partitioner spread", async () => {
  using spans = record();

  await traceProducer(bare).send({ topic: "spread", messages: [{ value: "a" }, { value: "b" }] });

  for (const { attributes } of sends(spans)) {
    expect(attributes["kafka.offset"]).toBeUndefined();
    expect(attributes["messaging.destination.partition.id"]).toBeUndefined();
  }
});

test("no place is told of a send that asks for no acknowledgement", async () => {
  using spans = record();

  await traceProducer(bare).send({ topic: "orders", acks: 0, messages: [{ value: "a" }] });

  expect(sends(spans)[0]?.attributes["kafka.offset"]).toBeUndefined();
});

test("two messages that share one headers object get a context each, and the object stays", async () => {
  using spans = record();
  const headers = Object.freeze({ "x-tenant": "acme" });

  await traceProducer(bare).send({
    topic: "orders",
    messages: [
      { value: "a", headers },
      { value: "b", headers },
    ],
  });

  expect(there("orders")).toEqual(sends(spans).map(ids));
  expect(headers).toEqual({ "x-tenant": "acme" });
});

test("one message that two traces send at once gets a context of each", async () => {
  using spans = record();
  const message = Object.freeze({ value: "a" });
  const producer = traceProducer(bare);
  const callers = [start(spans, "one"), start(spans, "two")];

  const send = () => producer.send({ topic: "orders", messages: [message] });
  await Promise.all(callers.map(({ run }) => run(send)));
  for (const { span } of callers) span.end();

  expect(there("orders").map((id) => id.slice(0, 32))).toEqual(
    callers.map(({ span }) => span.spanContext().traceId),
  );
});

test("a record that is frozen all through is sent, and what was sent has it all", async () => {
  using spans = record();
  const message = Object.freeze({
    key: "k",
    value: "v",
    headers: Object.freeze({ multi: Object.freeze(["1", "2"]), Traceparent: sender().traceparent }),
  });
  const batch = Object.freeze({ topic: "orders", acks: 1, messages: Object.freeze([message]) });

  await Reflect.apply(traceProducer(bare).send, undefined, [batch]);

  const [stored] = broker.partition("orders", 0);
  expect(String(stored?.key)).toBe("k");
  expect(stored?.headers.map(([key, value]) => [key, String(value)]).slice(0, 2)).toEqual([
    ["multi", "1"],
    ["multi", "2"],
  ]);
  expect(there("orders")).toEqual(sends(spans).map(ids));
});

test("a message of a class keeps what the class computes", async () => {
  using spans = record();
  class Order {
    readonly #id = "o-1";
    get key(): string {
      return this.#id;
    }
    get value(): string {
      return JSON.stringify({ id: this.#id });
    }
  }

  await traceProducer(bare).send({ topic: "orders", messages: [new Order()] });

  const [stored] = broker.partition("orders", 0);
  expect([String(stored?.key), String(stored?.value)]).toEqual(["o-1", '{"id":"o-1"}']);
  expect(there("orders")).toEqual(sends(spans).map(ids));
});

test("with nothing registered the client gets the very objects of the caller", async () => {
  const got: unknown[] = [];
  const producer = traceProducer({
    ...bare,
    send: async (given: { topic: string; messages: { value: string }[] }) => {
      got.push(given);
      return [];
    },
  });
  const given = { topic: "orders", messages: [{ value: "a" }] };

  await producer.send(given);

  expect(got[0]).toBe(given);
});

describe("what the client refuses is refused as without us", () => {
  const refused: Record<string, unknown> = {
    "no record": undefined,
    "null for a record": null,
    "no messages": { topic: "orders" },
    "no topic": { messages: [{ value: "a" }] },
    "an empty topic": { topic: "", messages: [{ value: "a" }] },
    "messages that are no list": { topic: "orders", messages: { value: "a" } },
    "a message that is null": { topic: "orders", messages: [null] },
    "a message without a value": { topic: "orders", messages: [{ key: "k" }] },
    "a header that is null": { topic: "orders", messages: [{ value: "a", headers: { h: null } }] },
    "headers that are null": { topic: "orders", messages: [{ value: "a", headers: null }] },
    "a topic that is not there": { topic: "nowhere", messages: [{ value: "a" }] },
  };
  for (const [what, given] of Object.entries(refused)) {
    test(what, async () => {
      using spans = record();
      const outcome = (send: (...args: never[]) => Promise<unknown>) =>
        Promise.resolve(Reflect.apply(send, undefined, given === undefined ? [] : [given])).then(
          () => "sent",
          (error: unknown) => String(error),
        );

      const without = await outcome(bare.send);

      expect(await outcome(traceProducer(bare).send)).toBe(without);
      expect(without).not.toBe("sent");
      expect(spans.open).toEqual([]);
      for (const { name, status } of sends(spans)) {
        expect(name).toMatch(/^send \S/);
        expect(status.code).toBe("ERROR");
      }
      expect(spans.warnings).toEqual([]);
    });
  }

  test("a batch whose entries are null", async () => {
    using spans = record();
    const send = () =>
      Reflect.apply(traceProducer(bare).sendBatch, undefined, [{ topicMessages: [null] }]);

    await expect(send()).rejects.toThrow(TypeError);
    expect(spans.open).toEqual([]);
  });
});

test("a failed send ends every span of the call with the error, and rejects with the same one", async () => {
  using spans = record();
  const kafka = new FakeKafka(broker);
  const down = Object.assign(new Error("broker down"), { name: "KafkaJSConnectionError" });
  kafka.gate = Promise.reject(down);

  const sending = traceProducer(kafka.producer()).send({
    topic: "orders",
    messages: [{ value: "a" }, { value: "b" }],
  });

  await expect(sending).rejects.toBe(down);
  expect(sends(spans).map(({ status, attributes }) => [status, attributes["error.type"]])).toEqual([
    [{ code: "ERROR", message: "broker down" }, "KafkaJSConnectionError"],
    [{ code: "ERROR", message: "broker down" }, "KafkaJSConnectionError"],
  ]);
});

test("a client that throws at once throws through us, and its spans end", () => {
  using spans = record();
  const boom = new Error("at once");
  const producer = traceProducer({
    ...bare,
    send: () => {
      throw boom;
    },
  });

  expect(() => Reflect.apply(producer.send, undefined, [{ topic: "t", messages: [{}] }])).toThrow(
    boom,
  );
  expect(sends(spans).map(({ status }) => status.code)).toEqual(["ERROR"]);
});

describe("a message that throws when it is read", () => {
  const poison = (times: number) => {
    let left = times;
    return {
      value: "a",
      get partition(): number {
        left -= 1;
        if (left >= 0) throw new Error("poison");
        return 0;
      },
    };
  };
  const told = [expect.stringContaining("traceferry kafka: send: Error: poison")];

  test("fails in the client, and all spans of the call with it", async () => {
    using spans = record();
    const messages = [{ value: "x" }, poison(2)];

    await expect(traceProducer(bare).send({ topic: "orders", messages })).rejects.toThrow("poison");

    expect(sends(spans).map(({ status }) => status.code)).toEqual(["ERROR"]);
    expect(spans.open).toEqual([]);
    expect(spans.warnings).toEqual(told);
  });

  test("is sent as it is where the client can read it, and no place is guessed", async () => {
    using spans = record();
    const messages = [{ value: "x" }, poison(1)];

    await traceProducer(bare).send({ topic: "orders", messages });

    expect(broker.partition("orders", 0).map(({ value }) => String(value))).toEqual(["x", "a"]);
    expect(sends(spans).map(({ attributes }) => attributes["kafka.offset"])).toEqual([undefined]);
    expect(spans.open).toEqual([]);
    expect(spans.warnings).toEqual(told);
  });
});

test("what is sent while tracing is suppressed leaves as it is", async () => {
  using spans = record();
  const heedless: TextMapPropagator = {
    inject: (_, carrier, setter) => setter.set(carrier, "a", "1"),
    extract: (from) => from,
    fields: () => ["a"],
  };
  const producer = traceProducer(bare, { propagator: heedless });

  await context.with(suppressTracing(ROOT_CONTEXT), () =>
    producer.send({ topic: "orders", messages: [{ value: "a" }] }),
  );

  expect(broker.partition("orders", 0)[0]?.headers).toEqual([]);
  expect(spans.ended).toEqual([]);
});
