import type {
  ConsumerRunConfig,
  EachBatchPayload,
  EachMessagePayload,
  IHeaders,
  KafkaMessage,
  Message,
  ProducerBatch,
  ProducerRecord,
  RecordMetadata,
} from "kafkajs";

/** A header on the wire. */
export type WireHeader = readonly [key: string, value: Buffer | null];

/** A record in a partition's log. */
export interface StoredRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly WireHeader[];
}

/** A broker in memory: topics with their partitions, each a log of records. */
export class FakeBroker {
  readonly topics = new Map<string, StoredRecord[][]>();

  constructor(topics: Readonly<Record<string, number>>) {
    for (const [topic, partitions] of Object.entries(topics)) {
      this.topics.set(
        topic,
        Array.from({ length: partitions }, () => []),
      );
    }
  }

  /** The log of a partition. @throws as kafkajs does, when there is none. */
  partition(topic: string, partition: number): StoredRecord[] {
    const log = this.topics.get(topic)?.[partition];
    if (log === undefined) {
      throw Object.assign(new Error("This server does not host this topic-partition"), {
        name: "KafkaJSProtocolError",
      });
    }
    return log;
  }
}

class NonRetriable extends Error {
  override readonly name = "KafkaJSNonRetriableError";
}

/**
 * kafkajs 2.2.4 without a network: the same checks in the same order, the same encoding and decoding of
 * headers, the same answers. Producers, consumers and transactions are closures, as they are there.
 */
export class FakeKafka {
  readonly broker: FakeBroker;
  readonly #name = "private";
  #gate: Promise<unknown> = Promise.resolve();

  constructor(broker: FakeBroker) {
    this.broker = broker;
  }

  /** A promise that each `produce` awaits. */
  get gate(): Promise<unknown> {
    return this.#gate;
  }

  set gate(gate: Promise<unknown>) {
    this.#gate = gate;
  }

  /** Reads private state, which a proxy does not have. */
  logger(): string {
    return this.#name;
  }

  admin(): { readonly of: FakeKafka } {
    return { of: this };
  }

  producer(config: { transactionalId?: string; createPartitioner?: () => Partitioner } = {}) {
    const partitioner = (config.createPartitioner ?? defaultPartitioner)();
    const produce = async (batch: ProducerBatch): Promise<RecordMetadata[]> => {
      await this.gate;
      return append(this.broker, partitioner, batch);
    };
    const { send, sendBatch } = makeSender(produce);
    let open = false;
    const transaction = async () => {
      if (config.transactionalId === undefined) {
        throw new NonRetriable("Must provide transactional id for transactional producer");
      }
      open = true;
      const guard =
        <Args extends unknown[], Result>(fn: (...args: Args) => Promise<Result>) =>
        (...args: Args): Promise<Result> =>
          open
            ? fn(...args)
            : Promise.reject(new NonRetriable("Cannot continue to use transaction once ended"));
      const end = guard(async () => {
        open = false;
      });
      return {
        send: guard(send),
        sendBatch: guard(sendBatch),
        commit: end,
        abort: end,
        isActive: () => open,
      };
    };
    return {
      connect: async () => {},
      disconnect: async () => {},
      isIdempotent: () => false,
      events: { CONNECT: "producer.connect" },
      send,
      sendBatch,
      transaction,
    };
  }

  consumer(config: { groupId: string }) {
    if (!config.groupId) throw new NonRetriable("Consumer groupId must be a non-empty string.");
    let runConfig: ConsumerRunConfig = {};
    return {
      groupId: config.groupId,
      run: async (newConfig: ConsumerRunConfig = {}) => {
        runConfig = newConfig;
      },
      /** Delivers one record as the runner does; settles as the handler does. */
      deliver: async (topic: string, partition: number, offset: number): Promise<void> => {
        const record = this.broker.partition(topic, partition)[offset];
        if (record === undefined) throw new Error(`no record at ${topic}/${partition}/${offset}`);
        const message = decodeRecord(record, offset);
        if (runConfig.eachMessage) {
          await runConfig.eachMessage(messagePayload(topic, partition, message));
        } else {
          await runConfig.eachBatch?.(batchPayload(topic, partition, [message]));
        }
      },
    };
  }
}

type Partitioner = (args: { topic: string; partitions: number; message: Message }) => number;

function defaultPartitioner(): Partitioner {
  let counter = -1;
  return ({ partitions, message }) => {
    if (message.partition !== null && message.partition !== undefined) return message.partition;
    if (message.key !== null && message.key !== undefined) return message.key.length % partitions;
    counter += 1;
    return counter % partitions;
  };
}

type TopicMessages = NonNullable<ProducerBatch["topicMessages"]>;

function makeSender(produce: (batch: ProducerBatch) => Promise<RecordMetadata[]>) {
  const sendBatch = async ({ acks = -1, topicMessages = [] }: ProducerBatch) => {
    validate(topicMessages);
    const response = await produce({ acks, topicMessages: mergeTopics(topicMessages) });
    return acks === 0 ? [] : response;
  };
  const send = async ({ topic, messages, ...rest }: ProducerRecord) =>
    sendBatch({ ...rest, topicMessages: [{ topic, messages }] });
  return { send, sendBatch };
}

function validate(topicMessages: TopicMessages): void {
  if (topicMessages.some(({ topic }) => !topic)) throw new NonRetriable("Invalid topic");
  for (const { topic, messages } of topicMessages) {
    if (!messages) {
      throw new NonRetriable(`Invalid messages array [${messages}] for topic "${topic}"`);
    }
    const withoutValue = messages.find((message) => message.value === undefined);
    if (withoutValue) {
      throw new NonRetriable(
        `Invalid message without value for topic "${topic}": ${JSON.stringify(withoutValue)}`,
      );
    }
  }
}

function mergeTopics(topicMessages: TopicMessages): TopicMessages {
  const merged: TopicMessages = [];
  for (const { topic, messages } of topicMessages) {
    const known = merged.find((entry) => entry.topic === topic);
    if (known === undefined) merged.push({ topic, messages });
    else known.messages = [...known.messages, ...messages];
  }
  return merged;
}

function append(
  broker: FakeBroker,
  partitioner: Partitioner,
  { topicMessages = [] }: ProducerBatch,
): RecordMetadata[] {
  const response: RecordMetadata[] = [];
  for (const { topic, messages } of topicMessages) {
    const partitions = broker.topics.get(topic)?.length ?? 0;
    const baseOffsets = new Map<number, number>();
    for (const message of messages) {
      const partition = partitioner({ topic, partitions, message });
      const log = broker.partition(topic, partition);
      const encoded = encode(message);
      if (!baseOffsets.has(partition)) baseOffsets.set(partition, log.length);
      log.push(encoded);
    }
    for (const [partition, offset] of baseOffsets) {
      response.push({ topicName: topic, partition, errorCode: 0, baseOffset: String(offset) });
    }
  }
  return response;
}

function encode({ key, value, headers = {} }: Message): StoredRecord {
  const list = Object.keys(headers).flatMap((name): WireHeader[] => {
    const value = headers[name];
    const values = Array.isArray(value) ? value : [value];
    // Throws for null, undefined and numbers, before it looks for null: kafkajs#1500.
    return values.map((item) => {
      Buffer.byteLength(item ?? missing(item));
      return [name, bytes(item)];
    });
  });
  return { key: bytes(key), value: bytes(value), headers: list };
}

function missing(value: unknown): never {
  throw new TypeError(`The "string" argument must be of type string. Received ${String(value)}`);
}

function bytes(value: string | Buffer | null | undefined): Buffer | null {
  if (value === null || value === undefined) return null;
  return Buffer.isBuffer(value) ? value : Buffer.from(String(value));
}

/** Decodes headers as kafkajs does: a plain object, repeats as a list, starting from what the object inherits. */
export function decodeHeaders(headers: readonly WireHeader[]): IHeaders {
  const decoded: IHeaders = {};
  return Object.assign(decoded, headers.reduce(addHeader, {}));
}

function addHeader(headers: object, [key, value]: WireHeader): object {
  const before: unknown = Reflect.get(headers, key);
  if (before === undefined) return { ...headers, [key]: value };
  return { ...headers, [key]: Array.isArray(before) ? before.concat([value]) : [before, value] };
}

function decodeRecord({ key, value, headers }: StoredRecord, offset: number): KafkaMessage {
  return {
    key,
    value,
    timestamp: "0",
    attributes: 0,
    offset: String(offset),
    headers: decodeHeaders(headers),
  };
}

function messagePayload(
  topic: string,
  partition: number,
  message: KafkaMessage,
): EachMessagePayload {
  return { topic, partition, message, heartbeat: async () => {}, pause: () => () => {} };
}

function batchPayload(
  topic: string,
  partition: number,
  messages: KafkaMessage[],
): EachBatchPayload {
  return {
    batch: {
      topic,
      partition,
      highWatermark: "0",
      messages,
      isEmpty: () => messages.length === 0,
      firstOffset: () => messages[0]?.offset ?? null,
      lastOffset: () => messages.at(-1)?.offset ?? "-1",
      offsetLag: () => "0",
      offsetLagLow: () => "0",
    },
    resolveOffset: () => {},
    heartbeat: async () => {},
    pause: () => () => {},
    commitOffsetsIfNecessary: async () => {},
    uncommittedOffsets: () => ({ topics: [] }),
    isRunning: () => true,
    isStale: () => false,
  };
}
