import {
  type Adapter,
  type AdapterOptions,
  adapterContract,
  type Harness,
  type SentMessage,
} from "@traceferry/contract";
import { w3cPropagator } from "@traceferry/core";
import type { Headers } from "@traceferry/testkit";
import type { EachMessagePayload, IHeaders, Message, ProducerRecord } from "kafkajs";
import { test } from "vitest";
import { FakeBroker, FakeKafka } from "./fake-kafkajs.test-support.js";
import { traceKafka } from "./index.js";

const TOPIC = "orders";

const kafkajs: Adapter = {
  name: "kafka",
  propagator: w3cPropagator,
  incoming: {
    kind: "CONSUMER",
    name: "process orders",
    attributes: {
      "messaging.system.name": "kafka",
      "messaging.destination.name": TOPIC,
      "messaging.destination.partition.id": "0",
      "messaging.operation.name": "process",
      "messaging.operation.type": "process",
      "messaging.consumer.group.name": "billing",
      "kafka.offset": 0,
    },
  },
  outgoing: {
    kind: "PRODUCER",
    name: "send orders",
    attributes: {
      "messaging.system.name": "kafka",
      "messaging.destination.name": TOPIC,
      "messaging.destination.partition.id": "0",
      "messaging.operation.name": "send",
      "messaging.operation.type": "send",
      "kafka.offset": 0,
    },
  },
  messaging: true,
  maxBytes: 8192,
  repeatedTraceparent: "last",
  open: (options) => openHarness(options),
  receivePatched: async (_, headers, handler, patch) => {
    const harness = await openHarness({}, patch);
    await harness.receive(headers, handler);
  },
};

async function openHarness(
  options: AdapterOptions = {},
  patch: <Result>(next: () => Result) => Result = (next) => next(),
): Promise<Harness> {
  const broker = new FakeBroker({ [TOPIC]: 1 });
  const untraced = new CountingKafka(broker);
  const kafka = traceKafka(untraced, options);
  const producer = kafka.producer();
  const untracedProducer = untraced.producer();
  const handlers = new Map<number, () => unknown>();

  async function send(by: typeof producer, message: unknown): Promise<SentMessage> {
    if (!isMessage(message)) throw new TypeError("not a message of this harness");
    const [metadata] = await by.send({ topic: TOPIC, messages: [message] });
    return takeSent(broker, Number(metadata?.baseOffset));
  }

  return {
    async receive(headers, handler) {
      const log = broker.partition(TOPIC, 0);
      const offset = log.length;
      handlers.set(offset, handler);
      log.push({
        key: null,
        value: Buffer.from("{}"),
        headers: headers.map(([key, value]) => [key, Buffer.from(value)]),
      });
      const consumer = kafka.consumer({ groupId: "billing" });
      await consumer.run({
        async eachMessage({ message }: EachMessagePayload) {
          await handlers.get(Number(message.offset))?.();
        },
      });
      try {
        await patch(() => consumer.deliver(TOPIC, 0, offset));
      } finally {
        handlers.delete(offset);
        takeSent(broker, offset);
      }
    },
    message: (headers, frozen) => (frozen ? deepFreeze(messageOf(headers)) : messageOf(headers)),
    snapshot: (message) => structuredClone(message),
    send: (message) => send(producer, message),
    sendUninstrumented: (message) => send(untracedProducer, message),
    transportSends: () => untraced.sends,
    async sendFailing(message) {
      if (isMessage(message)) await producer.send({ topic: "nowhere", messages: [message] });
    },
    async [Symbol.asyncDispose]() {
      handlers.clear();
    },
  };
}

function messageOf(headers: Headers): Message {
  const record: IHeaders = {};
  for (const [key, value] of headers) {
    const before = record[key];
    record[key] = before === undefined ? value : [before, value].flat();
  }
  return { key: "o-1", value: "{}", headers: record };
}

function isMessage(value: unknown): value is Message {
  return typeof value === "object" && value !== null && "value" in value;
}

/** Takes a record off the broker, so that whatever stays in memory is the adapter's. */
function takeSent(broker: FakeBroker, offset: number): SentMessage {
  const log = broker.partition(TOPIC, 0);
  const { key, value, headers = [] } = log[offset] ?? {};
  Reflect.deleteProperty(log, offset);
  return {
    headers: headers.map(([name, text]) => [name, String(text)]),
    body: { key: String(key), value: String(value) },
  };
}

/** Counts the calls of `send` that reach its producers. */
class CountingKafka extends FakeKafka {
  sends = 0;

  override producer(...args: Parameters<FakeKafka["producer"]>) {
    const producer = super.producer(...args);
    return {
      ...producer,
      send: (record: ProducerRecord) => {
        this.sends++;
        return producer.send(record);
      },
    };
  }
}

function deepFreeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) {
    if (typeof inner === "object" && inner !== null) deepFreeze(inner);
  }
  return Object.freeze(value);
}

for (const { title, run, timeout } of adapterContract(kafkajs)) test(title, run, timeout);
