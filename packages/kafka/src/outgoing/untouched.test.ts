import { sender } from "@traceferry/testkit";
import { beforeEach, expect, test } from "vitest";
import { FakeBroker, FakeKafka } from "../fake-kafkajs.test-support.js";
import {
  idsOf,
  producerSpans,
  sentIds,
  startCaller,
  startRecording,
} from "../fixtures.test-support.js";
import { traceProducer } from "../index.js";

let broker: FakeBroker;
let untraced: ReturnType<FakeKafka["producer"]>;
beforeEach(() => {
  broker = new FakeBroker({ orders: 1 });
  untraced = new FakeKafka(broker).producer();
});

test("two messages that share one headers object get a context each, and the object is not changed", async () => {
  using spans = startRecording();
  const headers = Object.freeze({ "x-tenant": "acme" });

  await traceProducer(untraced).send({
    topic: "orders",
    messages: [
      { value: "a", headers },
      { value: "b", headers },
    ],
  });

  expect(sentIds(broker, "orders")).toEqual(producerSpans(spans).map(idsOf));
  expect(headers).toEqual({ "x-tenant": "acme" });
});

test("one message that two traces send at once gets a context of each", async () => {
  using spans = startRecording();
  const message = Object.freeze({ value: "a" });
  const producer = traceProducer(untraced);
  const callers = [startCaller(spans, "one"), startCaller(spans, "two")];

  const send = () => producer.send({ topic: "orders", messages: [message] });
  await Promise.all(callers.map(({ run }) => run(send)));
  for (const { span } of callers) span.end();

  expect(sentIds(broker, "orders").map((id) => id.slice(0, 32))).toEqual(
    callers.map(({ span }) => span.spanContext().traceId),
  );
});

test("a deeply frozen record is sent with everything that is in it", async () => {
  using spans = startRecording();
  const message = Object.freeze({
    key: "k",
    value: "v",
    headers: Object.freeze({ multi: Object.freeze(["1", "2"]), Traceparent: sender().traceparent }),
  });
  const batch = Object.freeze({ topic: "orders", acks: 1, messages: Object.freeze([message]) });

  await Reflect.apply(traceProducer(untraced).send, undefined, [batch]);

  const [stored] = broker.partition("orders", 0);
  expect(String(stored?.key)).toBe("k");
  expect(stored?.headers.map(([key, value]) => [key, String(value)]).slice(0, 2)).toEqual([
    ["multi", "1"],
    ["multi", "2"],
  ]);
  expect(sentIds(broker, "orders")).toEqual(producerSpans(spans).map(idsOf));
});

test("records and messages keep the getters' values of their classes, and nothing is added", async () => {
  using _ = startRecording();
  const received: object[][] = [];
  const capture = async (...args: object[]) => {
    received.push(args);
    return [];
  };
  const producer = traceProducer({ ...untraced, send: capture, sendBatch: capture });
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
  expect(received).toStrictEqual([
    [{ topic: "orders", messages: [order], acks: 1, timeout: 2, compression: 3 }],
    [{ topicMessages: [plain], acks: 1 }],
    [plain],
  ]);
});

test("unknown fields are kept, and a getter is read once", async () => {
  using _ = startRecording();
  const received: object[] = [];
  const producer = traceProducer({
    ...untraced,
    send: async (record: object) => void received.push(record),
  });
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
  expect(received).toEqual([{ topic: "orders", messages: [sent], quota: 2 }]);
  expect(reads).toBe(1);
});

test("further arguments reach the client", async () => {
  using _ = startRecording();
  const received: unknown[][] = [];
  const client = {
    ...untraced,
    send: async (...args: unknown[]) => void received.push(args),
  };

  await traceProducer(client).send({ topic: "orders", messages: [{ value: "a" }] }, "more");

  expect(received.map(([, ...rest]) => rest)).toEqual([["more"]]);
});

test("with nothing registered the client gets the caller's own objects", async () => {
  const received: unknown[] = [];
  const capture = async (record: object) => void received.push(record);
  const producer = traceProducer({ ...untraced, send: capture, sendBatch: capture });
  const record = { topic: "orders", messages: [{ value: "a" }] };
  const batch = { topicMessages: [record] };

  await producer.send(record);
  await producer.sendBatch(batch);

  expect(received[0]).toBe(record);
  expect(received[1]).toBe(batch);
});
