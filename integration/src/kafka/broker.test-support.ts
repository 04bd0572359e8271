import { randomUUID } from "node:crypto";
import {
  type Adapter,
  type AdapterOptions,
  type Harness,
  type SentMessage,
} from "@traceferry/contract";
import { w3cPropagator } from "@traceferry/core";
import { traceKafka } from "@traceferry/kafka";
import { type Headers } from "@traceferry/testkit";
import {
  type Consumer,
  type ConsumerRunConfig,
  type EachMessageHandler,
  type EachMessagePayload,
  type IHeaders,
  Kafka,
  type KafkaMessage,
  logLevel,
  type Message,
  type Producer,
  type ProducerRecord,
} from "kafkajs";
import { afterAll, beforeAll } from "vitest";
import { createTopics } from "../engines/index.js";
import { engines } from "../suite/engines.test-support.js";

// Unique names, because brokers may be shared and outlive the run.
/** A part of every name of this run. */
export const RUN = randomUUID().slice(0, 8);
/** The topic that a traced consumer reads. */
export const INBOX = `traceferry-${RUN}-inbox`;
/** The topic that a traced producer writes to. */
export const OUTBOX = `traceferry-${RUN}-outbox`;
const NOWHERE = `traceferry-${RUN}-nowhere`;
/** The group of the traced consumer. */
export const GROUP = `traceferry-${RUN}-billing`;
/** The partitions of the inbox. */
export const PARTITIONS = 4;

let kafka: Kafka;
let producer: Producer;

/** Creates the topics, an untraced client and an untraced producer for the tests of one file. */
export function useKafka(): { kafka: () => Kafka; producer: () => Producer } {
  beforeAll(async () => {
    const brokers = engines().kafkaBrokers;
    await createTopics(brokers, [INBOX], PARTITIONS);
    await createTopics(brokers, [OUTBOX], 1);
    const clientOptions = { clientId: "traceferry-tests", brokers, logLevel: logLevel.NOTHING };
    kafka = new Kafka({ ...clientOptions, retry: { initialRetryTime: 20 } });
    // Without retries, so that a send fails at once.
    const withoutRetries = new Kafka({ ...clientOptions, retry: { retries: 0 } });
    producer = withoutRetries.producer({ allowAutoTopicCreation: false });
    await producer.connect();
  });
  afterAll(async () => {
    await producer?.disconnect();
  });
  return { kafka: () => kafka, producer: () => producer };
}

/** Runs a consumer on a topic, from its beginning, until it is disposed of. */
export async function consuming(
  consumer: Consumer,
  topic: string,
  config: ConsumerRunConfig,
): Promise<AsyncDisposable> {
  const joined = new Promise<void>((resolve, reject) => {
    consumer.on("consumer.group_join", () => resolve());
    consumer.on("consumer.crash", ({ payload: { error, restart } }) => {
      if (!restart) reject(error);
    });
  });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run(config);
  await joined;
  return { [Symbol.asyncDispose]: () => consumer.disconnect() };
}

/** Consumer options for short waits. */
export const QUICK = { maxWaitTimeInMs: 20, retry: { initialRetryTime: 20 } };

/** The records that an untraced consumer reads from the outbox, by offset. */
class Outbox {
  readonly #arrived = new Map<string, KafkaMessage>();
  readonly #awaited = new Map<string, (message: KafkaMessage) => void>();

  readonly eachMessage: EachMessageHandler = async ({ message }) => {
    this.#arrived.set(message.offset, message);
    this.#awaited.get(message.offset)?.(message);
  };

  /** Waits for a record and removes it, so that only the adapter can leave something in memory. */
  async take(offset: string): Promise<SentMessage> {
    const { headers = {}, value: body } =
      this.#arrived.get(offset) ??
      (await new Promise<KafkaMessage>((resolve) => this.#awaited.set(offset, resolve)));
    this.#arrived.delete(offset);
    this.#awaited.delete(offset);
    const pairs = Object.entries(headers).flatMap(([key, value]) =>
      [value].flat().map((item) => [key, String(item)] as const),
    );
    return { headers: pairs, body: String(body) };
  }
}

/** The handlers of the records in the inbox, by the key of the record. */
export const deliveries = new Map<string, (payload: EachMessagePayload) => Promise<void>>();
/** The records in the outbox. */
export const outbox = new Outbox();

/** A client that all harnesses share: it has the real producer, and hands the handler to the one real consumer. */
class SharedKafka {
  eachMessage: EachMessageHandler = async () => undefined;
  /** The number of sends. */
  sends = 0;

  producer() {
    return {
      send: (record: ProducerRecord) => {
        this.sends++;
        return producer.send(record);
      },
      sendBatch: producer.sendBatch,
    };
  }

  consumer(_: { groupId: string }) {
    return {
      run: async ({ eachMessage }: ConsumerRunConfig) => {
        if (eachMessage) this.eachMessage = eachMessage;
      },
    };
  }
}

async function open(
  options: AdapterOptions = {},
  patch: <Result>(next: () => Result) => Result = (next) => next(),
): Promise<Harness> {
  const shared = new SharedKafka();
  const traced = traceKafka(shared, options);
  const handlers = new Map<string, () => unknown>();
  await traced.consumer({ groupId: GROUP }).run({
    eachMessage: async ({ message }) => {
      await handlers.get(String(message.key))?.();
    },
  });
  const send = async (by: Pick<Producer, "send">, message: unknown): Promise<SentMessage> => {
    const [metadata] = await by.send({ topic: OUTBOX, messages: [asMessage(message)] });
    return outbox.take(`${metadata?.baseOffset}`);
  };
  return {
    async receive(headers, handler) {
      const key = randomUUID();
      handlers.set(key, handler);
      const delivered = new Promise<void>((resolve, reject) => {
        // A failure rejects here and not in kafkajs, which would deliver the record again.
        deliveries.set(key, (payload) =>
          patch(() => shared.eachMessage(payload)).then(resolve, reject),
        );
      });
      const sent = producer.send({
        topic: INBOX,
        messages: [{ ...messageWith(headers), key }],
      });
      // The record may be handled, and fail, before the broker acknowledges it.
      await Promise.all([sent, delivered]).finally(() => {
        deliveries.delete(key);
        handlers.delete(key);
      });
    },
    message: (headers, frozen) =>
      frozen ? deepFreeze(messageWith(headers)) : messageWith(headers),
    snapshot: (message) => structuredClone(message),
    send: (message) => send(traced.producer(), message),
    sendUninstrumented: (message) => send(shared.producer(), message),
    transportSends: () => shared.sends,
    async sendFailing(message) {
      await traced.producer().send({ topic: NOWHERE, messages: [asMessage(message)] });
    },
    async [Symbol.asyncDispose]() {
      handlers.clear();
    },
  };
}

function messageWith(headers: Headers): Message {
  const fields: IHeaders = {};
  for (const [key, value] of headers) {
    const before = Object.hasOwn(fields, key) ? fields[key] : undefined;
    const now = before === undefined ? value : [before, value].flat();
    Object.defineProperty(fields, key, { value: now, enumerable: true, configurable: true });
  }
  return { value: "{}", headers: fields };
}

function asMessage(message: unknown): Message {
  if (!isMessage(message)) throw new TypeError("not a message of this harness");
  return message;
}

function isMessage(message: unknown): message is Message {
  return typeof message === "object" && message !== null && "value" in message;
}

function deepFreeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) {
    if (typeof inner === "object" && inner !== null) deepFreeze(inner);
  }
  return Object.freeze(value);
}

const span = (operation: "send" | "process", topic: string) => ({
  name: `${operation} ${topic}`,
  attributes: {
    "messaging.system.name": "kafka",
    "messaging.destination.name": topic,
    "messaging.operation.name": operation,
    "messaging.operation.type": operation,
  },
});

/** The adapter for kafkajs on a broker, for the contract. */
export const kafkajs: Adapter = {
  name: "kafka",
  propagator: w3cPropagator,
  incoming: { kind: "CONSUMER", ...span("process", INBOX) },
  outgoing: { kind: "PRODUCER", ...span("send", OUTBOX) },
  messaging: true,
  maxBytes: 8192,
  leakMessages: 1000,
  repeatedTraceparent: "last",
  // The default of max.message.bytes is a little more.
  canCarry: (headers) => headers.flat().join("").length < 1_000_000,
  open: (options) => open(options),
  receivePatched: async (_, headers, handler, patch) => {
    await using harness = await open({}, patch);
    await harness.receive(headers, handler);
  },
};
