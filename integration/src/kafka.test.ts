import { randomUUID } from "node:crypto";
import { context, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { w3cPropagator } from "@traceferry/core";
import { type ConsumerOptions, extractHeaders, traceKafka } from "@traceferry/kafka";
import {
  type Adapter,
  type AdapterOptions,
  adapterContract,
  type Harness,
  type Headers,
  type Sender,
  sender,
} from "@traceferry/testkit/contract";
import { type RecordedSpan, recordSpans } from "@traceferry/testkit/record";
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
} from "kafkajs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTopics, type Engines, startEngines } from "./engines/index.js";

// Names of this run: brokers may be others' too, and outlive it.
const RUN = randomUUID().slice(0, 8);
const INBOX = `traceferry-${RUN}-inbox`;
const OUTBOX = `traceferry-${RUN}-outbox`;
const NOWHERE = `traceferry-${RUN}-nowhere`;
const GROUP = `traceferry-${RUN}-billing`;
const PARTITIONS = 4;

let engines: Engines;
let kafka: Kafka;
let producer: Producer;

beforeAll(async () => {
  engines = await startEngines({
    need: { redis: false },
    say: (line) => process.stderr.write(`${line}\n`),
  });
  await createTopics(engines.kafkaBrokers, [INBOX], PARTITIONS);
  await createTopics(engines.kafkaBrokers, [OUTBOX], 1);
  const about = {
    clientId: "traceferry-tests",
    brokers: engines.kafkaBrokers,
    logLevel: logLevel.NOTHING,
  };
  kafka = new Kafka({ ...about, retry: { initialRetryTime: 20 } });
  // A send that fails is to fail at once.
  const impatient = new Kafka({ ...about, retry: { retries: 0 } });
  producer = impatient.producer({ allowAutoTopicCreation: false });
  await producer.connect();
}, 300_000);

afterAll(async () => {
  await producer?.disconnect();
  await engines?.[Symbol.asyncDispose]();
});

/** Runs a consumer of its own group on a topic, from its beginning, until the scope is left. */
async function consuming(
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

const quick = { maxWaitTimeInMs: 20, retry: { initialRetryTime: 20 } };

/** What a peer without adapter reads, by offset; whoever asks too early waits. */
class Outbox {
  readonly #there = new Map<string, KafkaMessage>();
  readonly #awaited = new Map<string, (message: KafkaMessage) => void>();

  readonly eachMessage: EachMessageHandler = async ({ message }) => {
    this.#there.set(message.offset, message);
    this.#awaited.get(message.offset)?.(message);
  };

  async at(offset: string): Promise<Headers> {
    const { headers = {} } =
      this.#there.get(offset) ??
      (await new Promise<KafkaMessage>((resolve) => this.#awaited.set(offset, resolve)));
    return Object.entries(headers).flatMap(([key, value]) =>
      [value].flat().map((one) => [key, String(one)] as const),
    );
  }
}

/** Deliveries of one consumer, told apart by the key of the record. */
const deliveries = new Map<string, (payload: EachMessagePayload) => Promise<void>>();
const outbox = new Outbox();

/** kafkajs, connected once: a harness gets the real producer, and the handler of a real consumer. */
class SharedKafka {
  eachMessage: EachMessageHandler = async () => undefined;

  producer(): Producer {
    return producer;
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
  const send = async (by: Producer, message: unknown): Promise<Headers> => {
    const [metadata] = await by.send({ topic: OUTBOX, messages: [asMessage(message)] });
    return outbox.at(`${metadata?.baseOffset}`);
  };
  return {
    async receive(headers, handler) {
      const key = randomUUID();
      handlers.set(key, handler);
      const delivered = new Promise<void>((resolve, reject) => {
        // What fails is told here and not to kafkajs, which would deliver it again.
        deliveries.set(key, (payload) =>
          patch(() => shared.eachMessage(payload)).then(resolve, reject),
        );
      });
      const sent = producer.send({
        topic: INBOX,
        messages: [{ ...messageWith(headers), key }],
      });
      // The record may be handled, and fail, before the broker's answer is here.
      await Promise.all([sent, delivered]).finally(() => deliveries.delete(key));
    },
    message: (headers, frozen) =>
      frozen ? deepFreeze(messageWith(headers)) : messageWith(headers),
    snapshot: (message) => structuredClone(message),
    send: (message) => send(traced.producer(), message),
    sendBare: (message) => send(producer, message),
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

const kafkajs: Adapter = {
  name: "kafka",
  propagator: w3cPropagator,
  incoming: { kind: "CONSUMER", ...span("process", INBOX) },
  outgoing: { kind: "PRODUCER", ...span("send", OUTBOX) },
  messaging: true,
  maxBytes: 8192,
  messages: 400,
  repeated: "last",
  // What a broker takes by default is a little more: max.message.bytes.
  carries: (headers) => headers.flat().join("").length < 1_000_000,
  open: (options) => open(options),
  receivePatched: async (_, headers, handler, patch) => {
    await using harness = await open({}, patch);
    await harness.receive(headers, handler);
  },
};

describe("kafkajs on a broker keeps the contract", () => {
  let consumers: AsyncDisposable[] = [];

  beforeAll(async () => {
    consumers = await Promise.all([
      consuming(kafka.consumer({ groupId: GROUP, ...quick }), INBOX, {
        partitionsConsumedConcurrently: PARTITIONS,
        eachMessage: async (payload) => deliveries.get(String(payload.message.key))?.(payload),
      }),
      consuming(kafka.consumer({ groupId: `${GROUP}-outbox`, ...quick }), OUTBOX, {
        eachMessage: outbox.eachMessage,
      }),
    ]);
  });
  afterAll(async () => {
    for (const consumer of consumers) await consumer[Symbol.asyncDispose]();
  });

  for (const promise of adapterContract(kafkajs)) test(promise.title, promise.run);
});

/** A topic of its own with a traced client. */
async function shop(name: string, options: ConsumerOptions = {}) {
  const topic = `traceferry-${RUN}-${name}`;
  await createTopics(engines.kafkaBrokers, [topic], 1);
  return { topic, traced: traceKafka(kafka, options) };
}

/** Handles the first records of a topic, and gives what it was given. */
async function handled(
  consumer: Consumer,
  topic: string,
  count: number,
  handler: EachMessageHandler = async () => undefined,
): Promise<KafkaMessage[]> {
  const messages: KafkaMessage[] = [];
  let all = () => {};
  const done = new Promise<void>((resolve) => {
    all = resolve;
  });
  await using _ = await consuming(consumer, topic, {
    eachMessage: async (payload) => {
      await handler(payload);
      if (messages.push(payload.message) === count) all();
    },
  });
  await done;
  return messages;
}

const onlyText = (from: Sender) => Object.fromEntries(from.headers);
const where = ({ attributes }: RecordedSpan) => [
  attributes["messaging.destination.name"],
  attributes["messaging.destination.partition.id"],
  attributes["kafka.offset"],
];

test("sender and reader of each record name the same place, and are one trace", async () => {
  using spans = recordSpans({ propagator: w3cPropagator() });
  const { topic, traced } = await shop("places", { clientId: "traceferry-tests" });
  const sending = traced.producer({ allowAutoTopicCreation: false });
  await sending.connect();

  await sending.send({ topic, messages: ["a", "b", "c"].map((value) => ({ value })) });
  await sending.sendBatch({
    topicMessages: ["d", "e"].map((value) => ({ topic, messages: [{ value }] })),
  });
  await sending.disconnect();
  await handled(traced.consumer({ groupId: `${GROUP}-places`, ...quick }), topic, 5);

  const sent = spans.ended.filter(({ kind }) => kind === "PRODUCER");
  const processed = spans.ended.filter(({ kind }) => kind === "CONSUMER");
  expect(sent.map(where)).toEqual([0, 1, 2, 3, 4].map((offset) => [topic, "0", offset]));
  expect(processed.map(where)).toEqual(sent.map(where));
  expect(processed.map(({ parentSpanId }) => parentSpanId)).toEqual(
    sent.map(({ spanId }) => spanId),
  );
  expect(processed[0]?.attributes).toMatchObject({
    "messaging.consumer.group.name": `${GROUP}-places`,
    "messaging.client.id": "traceferry-tests",
  });
  expect(spans.open).toEqual([]);
});

test("a transaction that is aborted is read by nobody; the next one, committed, is", async () => {
  using spans = recordSpans({ propagator: w3cPropagator() });
  const { topic, traced } = await shop("transactions");
  const sending = traced.producer({
    transactionalId: `traceferry-${RUN}`,
    maxInFlightRequests: 1,
    idempotent: true,
  });
  await sending.connect();

  const aborted = await sending.transaction();
  await aborted.send({ topic, messages: [{ value: "aborted" }] });
  await aborted.abort();
  const committed = await sending.transaction();
  await committed.send({ topic, messages: [{ value: "committed" }] });
  await committed.commit();
  await expect(committed.send({ topic, messages: [{ value: "late" }] })).rejects.toThrow(
    "once ended",
  );
  await sending.disconnect();
  const consumer = traced.consumer({ groupId: `${GROUP}-transactions`, ...quick });
  const [first] = await handled(consumer, topic, 1);

  expect(String(first?.value)).toBe("committed");
  const [lost, kept, late] = spans.ended.filter(({ kind }) => kind === "PRODUCER");
  expect(spans.named("abort transaction").links).toMatchObject([{ spanId: lost?.spanId }]);
  expect(spans.named("commit transaction").links).toMatchObject([{ spanId: kept?.spanId }]);
  expect(late?.status.code).toBe("ERROR");
  expect(spans.named(`process ${topic}`)).toMatchObject({ parentSpanId: kept?.spanId });
  expect(spans.open).toEqual([]);
});

test("of the headers that a forwarding peer repeats the last sender is continued", async () => {
  using spans = recordSpans({ propagator: w3cPropagator() });
  const { topic, traced } = await shop("repeats");
  const [old, now] = [sender(), sender()];
  const headers = Object.fromEntries(
    ["traceparent", "tracestate", "baggage"].map((key) => [
      key,
      [onlyText(old)[key] ?? "", onlyText(now)[key] ?? ""],
    ]),
  );
  await producer.send({ topic, messages: [{ value: "{}", headers }] });

  const [message] = await handled(
    traced.consumer({ groupId: `${GROUP}-repeats`, ...quick }),
    topic,
    1,
  );

  expect(message?.headers?.traceparent).toHaveLength(2);
  expect(spans.named(`process ${topic}`)).toMatchObject({
    traceId: now.traceId,
    parentSpanId: now.spanId,
    traceState: now.tracestate,
  });
});

test("a record with a null header and bytes that are no text is handled, and its sender found", async () => {
  using spans = recordSpans({ propagator: w3cPropagator() });
  const { topic, traced } = await shop("strange");
  const from = sender();
  const noText = Buffer.from([0xff, 0xfe, 0x00]);
  await producer.send({
    topic,
    messages: [
      {
        value: "{}",
        headers: {
          ...onlyText(from),
          traceparent: [noText, from.traceparent, noText],
          baggage: noText,
          kctx: noText,
          constructor: "x",
          nothing: nullHeader("nothing"),
        },
      },
    ],
  });

  const [message] = await handled(
    traced.consumer({ groupId: `${GROUP}-strange`, ...quick }),
    topic,
    1,
    async () => expect(trace.getActiveSpan()?.spanContext().traceId).toBe(from.traceId),
  );

  expect(message?.headers).toHaveProperty("nothing", null);
  expect(spans.named(`process ${topic}`).parentSpanId).toBe(from.spanId);
  expect(trace.getSpanContext(extractHeaders(message?.headers))?.spanId).toBe(from.spanId);
  expect(spans.warnings).toEqual([]);
});

/** Java writes such headers; kafkajs measures a text and then writes null, where the list says so (kafkajs#1500). */
function nullHeader(key: string): string[] {
  let looks = 0;
  const header = {
    key,
    get value() {
      looks += 1;
      return looks === 1 ? "" : null;
    },
  };
  return Object.assign([""], { map: () => [header] });
}

test("a record that is delivered again after a failure gets a new span with the same parent", async () => {
  using spans = recordSpans({ propagator: w3cPropagator() });
  const { topic, traced } = await shop("again");
  const request = spans.tracer().startSpan("request", {}, ROOT_CONTEXT);
  const sending = traced.producer({ allowAutoTopicCreation: false });
  await sending.connect();
  await context.with(trace.setSpan(ROOT_CONTEXT, request), () =>
    sending.send({ topic, messages: [{ value: "{}" }] }),
  );
  request.end();
  await sending.disconnect();
  let attempts = 0;

  await handled(traced.consumer({ groupId: `${GROUP}-again`, ...quick }), topic, 1, async () => {
    attempts += 1;
    if (attempts < 3) throw new Error("out of stock");
  });

  const sent = spans.named(`send ${topic}`);
  const processed = spans.ended.filter(({ kind }) => kind === "CONSUMER");
  expect(processed.map(({ status }) => status.code)).toEqual(["ERROR", "ERROR", "UNSET"]);
  expect(new Set(processed.map(({ spanId }) => spanId)).size).toBe(3);
  for (const each of processed) {
    expect(each).toMatchObject({ traceId: sent.traceId, parentSpanId: sent.spanId });
    expect(where(each)).toEqual(where(sent));
  }
});
