import {
  type Adapter,
  type AdapterOptions,
  adapterContract,
  type Harness,
  type SentMessage,
} from "@traceferry/contract";
import { w3cPropagator } from "@traceferry/core";
import type { Headers } from "@traceferry/testkit";
import type { JobsOptions } from "bullmq";
import { describe, test } from "vitest";
import { addJob, jobsAdded, processJob, type StoredJob } from "./bullmq.test-support.js";
import { bullmqTelemetry } from "./index.js";

const TRACE_FIELDS: ReadonlySet<string> = new Set(["traceparent", "tracestate", "baggage"]);

/** A job of an application: its own fields are data, and only the trace fields are metadata. */
class OrderJob {
  readonly data: Record<string, string>;
  readonly opts: JobsOptions;

  constructor(headers: Headers, frozen = false) {
    const isTraceField = ([key]: readonly [string, string]) => TRACE_FIELDS.has(key.toLowerCase());
    const traceFields = headers.filter(isTraceField);
    this.data = Object.fromEntries(headers.filter((header) => !isTraceField(header)));
    this.opts =
      traceFields.length === 0 ? {} : { telemetry: { metadata: asMetadata(traceFields) } };
    if (!frozen) return;
    for (const part of [this.data, this.opts.telemetry, this.opts, this]) Object.freeze(part);
  }
}

// JSON objects hold a key once; the list of pairs, which the Elixir port wrote, does not mind.
function asMetadata(headers: Headers): string {
  const fields = Object.fromEntries(headers);
  return JSON.stringify(Object.keys(fields).length === headers.length ? fields : headers);
}

function sentAs({ opts, data }: StoredJob): SentMessage {
  const { tm = "{}" }: { tm?: string } = JSON.parse(opts);
  const body: Record<string, string> = JSON.parse(data);
  const fields: Record<string, string> = { ...JSON.parse(tm), ...body };
  return { headers: Object.entries(fields), body };
}

function open(options: AdapterOptions = {}): Promise<Harness> {
  const telemetry = bullmqTelemetry(options);
  const expectJob = (job: unknown): OrderJob => {
    if (job instanceof OrderJob) return job;
    throw new TypeError("not a message of this harness");
  };
  return Promise.resolve({
    async receive(headers, handler) {
      const opts = headers.length === 0 ? {} : { tm: asMetadata(headers) };
      await processJob(telemetry, { id: "1", data: "{}", opts: JSON.stringify(opts) }, handler);
    },
    message: (headers, frozen) => new OrderJob(headers, frozen),
    snapshot: (message) => structuredClone(message),
    async send(message) {
      const { data, opts } = expectJob(message);
      return sentAs(await addJob(telemetry, data, opts));
    },
    async sendUninstrumented(message) {
      const { data, opts } = expectJob(message);
      return sentAs(await addJob(undefined, data, opts));
    },
    transportSends: jobsAdded,
    async sendFailing(message) {
      const { data, opts } = expectJob(message);
      await addJob(telemetry, data, { ...opts, jobId: "0" });
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  } satisfies Harness);
}

const bullmq: Adapter = {
  name: "bullmq",
  propagator: w3cPropagator,
  incoming: {
    kind: "CONSUMER",
    name: "process orders",
    attributes: {
      "messaging.system.name": "bullmq",
      "messaging.operation.name": "process",
      "messaging.operation.type": "process",
      "messaging.destination.name": "orders",
      "messaging.message.id": "1",
      "messaging.client.id": "w-1",
      "bullmq.job.name": "place",
      "bullmq.job.attempts_made": 1,
    },
    // BullMQ passes on the message of what the processor threw, but not its type.
    errorType: () => "_OTHER",
  },
  outgoing: {
    kind: "PRODUCER",
    name: "add orders",
    attributes: {
      "messaging.system.name": "bullmq",
      "messaging.operation.name": "add",
      "messaging.operation.type": "send",
      "messaging.destination.name": "orders",
      "bullmq.job.name": "place",
    },
  },
  messaging: true,
  maxBytes: 8192,
  // A worker swallows what a processor throws: the error stays with the job.
  handlerError: "swallowed",
  // Data are JSON, which holds a key once.
  repeatedUserHeader: "one",
  open,
};

describe("BullMQ keeps the contract", () => {
  for (const { title, run, timeout } of adapterContract(bullmq)) test(title, run, timeout);
});
