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

/** A header as it travels. */
export type WireHeader = readonly [key: string, value: Buffer | null];

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

  /** What each `produce` waits for. */
  get gate(): Promise<unknown> {
    return this.#gate;
  }

  set gate(gate: Promise<unknown>) {
    this.#gate = gate;
  }

  /** Needs the private state of the class. */
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
    const { send, sendBatch } = sender(produce);
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
    let running: ConsumerRunConfig = {};
    return {
      groupId: config.groupId,
      run: async (given: ConsumerRunConfig = {}) => {
        running = given;
      },
      /** Hands out one record as the runner does; settles as the handler did. */
      deliver: async (topic: string, partition: number, offset: number): Promise<void> => {
        const record = this.broker.partition(topic, partition)[offset];
        if (record === undefined) throw new Error(`no record at ${topic}/${partition}/${offset}`);
        const message = decoded(record, offset);
        if (running.eachMessage) {
          await running.eachMessage(payload(topic, partition, message));
        } else {
          await running.eachBatch?.(batchPayload(topic, partition, [message]));
        }
      },
    };
  }
}

type Partitioner = (args: { topic: string; partitions: number; message: Message }) => number;

function defaultPartitioner(): Partitioner {
  let turn = -1;
  return ({ partitions, message }) => {
    if (message.partition !== null && message.partition !== undefined) return message.partition;
    if (message.key !== null && message.key !== undefined) return message.key.length % partitions;
    turn += 1;
    return turn % partitions;
  };
}

function sender(produce: (batch: ProducerBatch) => Promise<RecordMetadata[]>) {
  const sendBatch = async ({ acks = -1, topicMessages = [] }: ProducerBatch) => {
    if (topicMessages.some(({ topic }) => !topic)) throw new NonRetriable("Invalid topic");
    for (const { topic, messages } of topicMessages) {
      if (!messages) {
        throw new NonRetriable(`Invalid messages array [${messages}] for topic "${topic}"`);
      }
      const without = messages.find((message) => message.value === undefined);
      if (without) {
        throw new NonRetriable(
          `Invalid message without value for topic "${topic}": ${JSON.stringify(without)}`,
        );
      }
    }
    const merged: { topic: string; messages: Message[] }[] = [];
    for (const { topic, messages } of topicMessages) {
      const known = merged.find((entry) => entry.topic === topic);
      if (known === undefined) merged.push({ topic, messages });
      else known.messages = [...known.messages, ...messages];
    }
    const answer = await produce({ acks, topicMessages: merged });
    return acks === 0 ? [] : answer;
  };
  const send = async ({ topic, messages, ...rest }: ProducerRecord) =>
    sendBatch({ ...rest, topicMessages: [{ topic, messages }] });
  return { send, sendBatch };
}

function append(
  broker: FakeBroker,
  partitioner: Partitioner,
  { topicMessages = [] }: ProducerBatch,
): RecordMetadata[] {
  const answers: RecordMetadata[] = [];
  for (const { topic, messages } of topicMessages) {
    const partitions = broker.topics.get(topic)?.length ?? 0;
    const first = new Map<number, number>();
    for (const message of messages) {
      const partition = partitioner({ topic, partitions, message });
      const log = broker.partition(topic, partition);
      const encoded = encode(message);
      if (!first.has(partition)) first.set(partition, log.length);
      log.push(encoded);
    }
    for (const [partition, offset] of first) {
      answers.push({ topicName: topic, partition, errorCode: 0, baseOffset: String(offset) });
    }
  }
  return answers;
}

function encode({ key, value, headers = {} }: Message): StoredRecord {
  const list = Object.keys(headers).flatMap((name): WireHeader[] => {
    const given = headers[name];
    const values = Array.isArray(given) ? given : [given];
    // Throws for null, undefined and numbers, before it looks for null: kafkajs#1500.
    return values.map((one) => {
      Buffer.byteLength(one ?? missing(one));
      return [name, bytes(one)];
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

/** Headers as kafkajs hands them out: a plain object, repeats as a list, and what its prototype adds to them. */
export function decodeHeaders(headers: readonly WireHeader[]): IHeaders {
  const step = (object: object, [key, value]: WireHeader): object => {
    const before: unknown = Reflect.get(object, key);
    const now =
      before === undefined
        ? value
        : Array.isArray(before)
          ? before.concat([value])
          : [before, value];
    return { ...object, [key]: now };
  };
  const out: IHeaders = {};
  return Object.assign(out, headers.reduce(step, {}));
}

function decoded({ key, value, headers }: StoredRecord, offset: number): KafkaMessage {
  return {
    key,
    value,
    timestamp: "0",
    attributes: 0,
    offset: String(offset),
    headers: decodeHeaders(headers),
  };
}

function payload(topic: string, partition: number, message: KafkaMessage): EachMessagePayload {
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
