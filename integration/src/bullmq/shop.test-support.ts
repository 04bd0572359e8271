import { bullmqTelemetry } from "@traceferry/bullmq";
import {
  type Adapter,
  type AdapterOptions,
  type Harness,
  type SentMessage,
} from "@traceferry/contract";
import { w3cPropagator } from "@traceferry/core";
import { type Headers } from "@traceferry/testkit";
import { type JobsOptions, Queue, type Telemetry, Worker } from "bullmq";
import { Redis } from "ioredis";
import { afterAll, beforeAll } from "vitest";
import { engines } from "../suite/engines.test-support.js";

let redis: Redis;

/** Connects to Redis for the tests of one file, beside the connections of the queues. */
export function useRedis(): () => Redis {
  beforeAll(async () => {
    redis = new Redis(engines().redisUrl, { lazyConnect: true, maxRetriesPerRequest: null });
    await redis.connect();
  });
  afterAll(async () => {
    await redis?.quit();
  });
  return () => redis;
}

/** Counts the jobs that are added, below its telemetry. */
class CountingQueue extends Queue {
  added = 0;

  override addJob(...args: Parameters<Queue["addJob"]>) {
    this.added++;
    return super.addJob(...args);
  }
}

/** Two queues named "orders": jobs in `outbox` stay there, those in `inbox` are processed. */
export class Shop implements AsyncDisposable {
  readonly telemetry: Telemetry;
  readonly inbox: Queue;
  readonly outbox: CountingQueue;
  /** Adds to the outbox without telemetry. */
  readonly untraced: CountingQueue;
  readonly worker: Worker;
  readonly #jobsById = new Map<string, { work: () => unknown; settled: () => void }>();
  static #shops = 0;
  #jobs = 0;

  constructor(telemetry: Telemetry, options: { concurrency?: number; tracedInbox?: boolean } = {}) {
    this.telemetry = telemetry;
    const prefix = `traceferry-${process.pid}-${++Shop.#shops}`;
    const connection = { url: engines().redisUrl };
    const outboxOptions = { connection, prefix: `${prefix}-out` };
    this.inbox = new Queue("orders", {
      connection,
      prefix,
      ...(options.tracedInbox && { telemetry }),
    });
    this.outbox = new CountingQueue("orders", { ...outboxOptions, telemetry });
    this.untraced = new CountingQueue("orders", outboxOptions);
    const jobs = this.#jobsById;
    class WatchedWorker extends Worker {
      override async processJob(...args: Parameters<Worker["processJob"]>) {
        try {
          return await super.processJob(...args);
        } finally {
          jobs.get(`${args[0].id}`)?.settled();
        }
      }
    }
    // The work of a job is found by its id, so that its data can be anything.
    const work = async ({ id = "" }) => (await jobs.get(id)?.work()) ?? id;
    this.worker = new WatchedWorker("orders", work, {
      connection,
      prefix,
      telemetry,
      concurrency: options.concurrency ?? 50,
      stalledInterval: 50,
      lockRenewTime: 50,
    });
    this.worker.on("error", () => undefined);
  }

  /** Adds a job and waits for the end of all its attempts and their spans. */
  async run(opts: JobsOptions, work: () => unknown = () => undefined, data: unknown = {}) {
    const jobId = `job-${++this.#jobs}`;
    let attempts = opts.attempts ?? 1;
    let done = () => {};
    const allSettled = new Promise<void>((resolve) => {
      done = resolve;
    });
    const settled = () => {
      if (--attempts === 0) done();
    };
    this.#jobsById.set(jobId, { work, settled });
    const job = await this.inbox.add("place", data, { ...opts, jobId });
    await allSettled;
    this.#jobsById.delete(jobId);
    return job;
  }

  async [Symbol.asyncDispose]() {
    await this.worker.close();
    for (const queue of [this.inbox, this.outbox]) await queue.obliterate({ force: true });
    await Promise.all([this.inbox, this.outbox, this.untraced].map((queue) => queue.close()));
  }
}

/** The options of a job as Redis has them. */
export async function storedOptions(
  queue: Queue,
  id: string | undefined,
): Promise<{ tm?: string }> {
  return JSON.parse((await redis.hget(queue.toKey(`${id}`), "opts")) ?? "{}");
}

const OURS: ReadonlySet<string> = new Set(["traceparent", "tracestate", "baggage"]);
const isOurs = ([key]: readonly [string, string]) => OURS.has(key.toLowerCase());

/** A job of an application. Propagation fields are its metadata, other headers its data. */
class OrderJob {
  readonly data: Record<string, string>;
  readonly opts: JobsOptions;

  constructor(headers: Headers, frozen = false) {
    this.data = Object.fromEntries(headers.filter((header) => !isOurs(header)));
    this.opts = withMetadata(headers.filter(isOurs));
    if (!frozen) return;
    for (const part of [this.data, this.opts.telemetry, this.opts, this]) Object.freeze(part);
  }
}

function withMetadata(headers: Headers): JobsOptions {
  if (headers.length === 0) return {};
  const fields = Object.fromEntries(headers);
  // An object has a key once. Repeated keys need a list of pairs, as the Elixir port writes it.
  const unique = Object.keys(fields).length === headers.length;
  return { telemetry: { metadata: JSON.stringify(unique ? fields : headers) } };
}

function orderJob(message: unknown): OrderJob {
  if (message instanceof OrderJob) return message;
  throw new TypeError("not a message of this harness");
}

async function open(options: AdapterOptions = {}): Promise<Harness> {
  const shop = new Shop(bullmqTelemetry(options));
  await shop.worker.waitUntilReady();
  const send = async (queue: Queue, message: unknown): Promise<SentMessage> => {
    const { data, opts } = orderJob(message);
    const { id } = await queue.add("place", data, opts);
    const { tm = "{}" } = await storedOptions(queue, id);
    const stored = await redis.hget(queue.toKey(`${id}`), "data");
    const body: Record<string, string> = JSON.parse(stored ?? "{}");
    const fields: Record<string, string> = { ...JSON.parse(tm), ...body };
    return { headers: Object.entries(fields), body };
  };
  return {
    async receive(headers, handler) {
      await shop.run(withMetadata(headers), handler);
    },
    message: (headers, frozen) => new OrderJob(headers, frozen),
    snapshot: (message) => structuredClone(message),
    send: (message) => send(shop.outbox, message),
    sendUninstrumented: (message) => send(shop.untraced, message),
    transportSends: () => shop.outbox.added + shop.untraced.added,
    async sendFailing(message) {
      const { data, opts } = orderJob(message);
      await shop.outbox.add("place", data, { ...opts, jobId: "0" });
    },
    [Symbol.asyncDispose]: () => shop[Symbol.asyncDispose](),
  };
}

/** The adapter for BullMQ on Redis, for the contract. */
export const bullmq: Adapter = {
  name: "bullmq",
  propagator: w3cPropagator,
  incoming: {
    kind: "CONSUMER",
    name: "process orders",
    attributes: {
      "messaging.system.name": "bullmq",
      "messaging.operation.type": "process",
      "messaging.destination.name": "orders",
      "messaging.message.id": "job-1",
      "bullmq.job.name": "place",
      "bullmq.job.attempts_made": 1,
    },
    // BullMQ gives a telemetry the message of the error, not its type.
    errorType: () => "_OTHER",
  },
  outgoing: {
    kind: "PRODUCER",
    name: "add orders",
    attributes: {
      "messaging.system.name": "bullmq",
      "messaging.operation.type": "send",
      "messaging.destination.name": "orders",
      "messaging.message.id": "1",
      "bullmq.job.name": "place",
    },
  },
  messaging: true,
  maxBytes: 8192,
  leakMessages: 2000,
  // A worker keeps the error of a processor with the job.
  handlerError: "swallowed",
  // The data is JSON, which has a key once.
  repeatedUserHeader: "one",
  open,
};
