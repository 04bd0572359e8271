import { sender } from "@traceferry/testkit";
import { beforeEach, expect, test } from "vitest";
import { FakeBroker, FakeKafka } from "../fake-kafkajs.test-support.js";
import { traceProducer } from "../index.js";
import { carried, ids, record, sends, start } from "../sends.test-support.js";

let broker: FakeBroker;
let bare: ReturnType<FakeKafka["producer"]>;
beforeEach(() => {
  broker = new FakeBroker({ orders: 1 });
  bare = new FakeKafka(broker).producer();
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

  expect(carried(broker, "orders")).toEqual(sends(spans).map(ids));
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

  expect(carried(broker, "orders").map((id) => id.slice(0, 32))).toEqual(
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
  expect(carried(broker, "orders")).toEqual(sends(spans).map(ids));
});

test("records and messages of classes keep what the classes compute, and nothing is added", async () => {
  using _ = record();
  const got: object[][] = [];
  const keep = async (...args: object[]) => {
    got.push(args);
    return [];
  };
  const producer = traceProducer({ ...bare, send: keep, sendBatch: keep });
  class Order {
    get key() {
      return "o-1";
    }
    get value() {
      return "{}";
    }
    get partition() {
      return 0;
    }
    get timestamp() {
      return "7";
    }
  }
  class Orders {
    readonly topic: string;
    constructor(topic: string) {
      this.topic = topic;
    }
    get messages() {
      return [new Order()];
    }
    get acks() {
      return 1;
    }
    get timeout() {
      return 2;
    }
    get compression() {
      return 3;
    }
  }
  class Batch {
    get topicMessages() {
      return [new ComputedTopic()];
    }
    get acks() {
      return 1;
    }
  }
  class ComputedTopic {
    get topic() {
      return "orders";
    }
    get messages() {
      return [{ value: "a" }];
    }
  }

  await producer.send(new Orders("orders"));
  await producer.sendBatch(new Batch());
  await producer.send({ topic: "orders", messages: [{ value: "a" }] });

  const headers = { traceparent: expect.any(String) };
  const order = { key: "o-1", value: "{}", partition: 0, timestamp: "7", headers };
  const plain = { topic: "orders", messages: [{ value: "a", headers }] };
  expect(got).toStrictEqual([
    [{ topic: "orders", messages: [order], acks: 1, timeout: 2, compression: 3 }],
    [{ topicMessages: [plain], acks: 1 }],
    [plain],
  ]);
});

test("fields that only the client knows stay, and one that is computed is read once", async () => {
  using _ = record();
  const got: object[] = [];
  const producer = traceProducer({ ...bare, send: async (given: object) => void got.push(given) });
  let reads = 0;
  const message = {
    get key() {
      reads += 1;
      return `read ${reads}`;
    },
    value: "a",
    priority: 1,
  };

  await producer.send({ topic: "orders", messages: [message], quota: 2 });

  const headers = { traceparent: expect.any(String) };
  const sent = { key: "read 1", value: "a", priority: 1, headers };
  expect(got).toEqual([{ topic: "orders", messages: [sent], quota: 2 }]);
  expect(reads).toBe(1);
});

test("what is given to the client besides the record reaches it", async () => {
  using _ = record();
  const got: unknown[][] = [];
  const client = {
    ...bare,
    send: async (...args: unknown[]) => void got.push(args),
  };

  await traceProducer(client).send({ topic: "orders", messages: [{ value: "a" }] }, "more");

  expect(got.map(([, ...rest]) => rest)).toEqual([["more"]]);
});

test("with nothing registered the client gets the very objects of the caller", async () => {
  const got: unknown[] = [];
  const keep = async (given: object) => void got.push(given);
  const producer = traceProducer({ ...bare, send: keep, sendBatch: keep });
  const given = { topic: "orders", messages: [{ value: "a" }] };
  const batch = { topicMessages: [given] };

  await producer.send(given);
  await producer.sendBatch(batch);

  expect(got[0]).toBe(given);
  expect(got[1]).toBe(batch);
});
