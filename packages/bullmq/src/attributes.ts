import { type Attributes, SpanKind } from "@opentelemetry/api";

// Semantic conventions 1.45; what they have no name for begins with `bullmq.`, as 1.45 does it for Kafka.
const SYSTEM_NAME = "messaging.system.name";
const OPERATION_NAME = "messaging.operation.name";
const OPERATION_TYPE = "messaging.operation.type";
const DESTINATION_NAME = "messaging.destination.name";

/**
 * BullMQ's names, which it sets on a span that has begun, and ours. What is not listed stays off the span:
 * results, options and lists of job names hold data of the application, and have no bound.
 */
const ATTRIBUTE_NAMES: ReadonlyMap<string, string> = new Map([
  ["bullmq.queue.name", DESTINATION_NAME],
  // On both sides of a job: a diagnosis joins a job that was sent and one that arrived by it.
  ["bullmq.job.id", "messaging.message.id"],
  ["bullmq.job.bulk.count", "messaging.batch.message_count"],
  ["bullmq.worker.id", "messaging.client.id"],
  ["bullmq.worker.name", "bullmq.worker.name"],
  ["bullmq.job.name", "bullmq.job.name"],
  // The name of the job at the root of the flow.
  ["bullmq.flow.name", "bullmq.job.name"],
  ["bullmq.job.attempts.made", "bullmq.job.attempts_made"],
  ["bullmq.job.scheduler.id", "bullmq.scheduler.id"],
]);

interface Operation {
  readonly type?: string;
  readonly kind: SpanKind;
}

const ADD: Operation = { type: "send", kind: SpanKind.PRODUCER };
const PROCESS: Operation = { type: "process", kind: SpanKind.CONSUMER };

/**
 * BullMQ's operations in the words of the conventions; others are as `add`, or in a worker as `process`. A span
 * whose own context travels is a PRODUCER.
 */
const OPERATIONS: ReadonlyMap<string, Operation> = new Map<string, Operation>([
  ["addNode", { type: "create", kind: SpanKind.PRODUCER }],
  ["addFlow", { type: "send", kind: SpanKind.CLIENT }],
  ["addBulkFlows", { type: "send", kind: SpanKind.CLIENT }],
  // Jobs go back to waiting with the context that they have; the conventions have no type for it.
  ["retryJobs", { kind: SpanKind.CLIENT }],
]);

/** What BullMQ says when it begins a span: `process orders`, `add orders.place`. */
export class ParsedSpanName {
  readonly operation: string;
  readonly isConsumer: boolean;
  readonly #destination: string;

  constructor(name: string, isConsumer: boolean) {
    // Without a destination the name ends behind the operation.
    const end = `${name} `.indexOf(" ");
    this.operation = name.slice(0, end);
    this.isConsumer = isConsumer;
    this.#destination = name.slice(end + 1);
  }

  /**
   * The queue; `""` where there is none or it is not known. For `add` the name holds the queue's and the job's with
   * a dot in between, and both may have dots: there the attribute tells. Elsewhere it does not: for the nodes
   * of a flow BullMQ 5.34 sets it to the name of the job.
   *
   * @param pendingAttributes - what `translateAttributes` gave before the span began
   */
  queueName(pendingAttributes: Attributes): string {
    if (this.operation !== "add") return this.#destination;
    const queue = pendingAttributes[DESTINATION_NAME];
    return typeof queue === "string" ? queue : "";
  }
}

/** What a span begins as. */
export interface SpanStart {
  /** `add orders`: never the name of a job, of which there may be any number. */
  readonly name: string;
  readonly kind: SpanKind;
  readonly attributes: Attributes;
}

/** @param pendingAttributes - what `translateAttributes` gave before the span began. */
export function spanStart(spanName: ParsedSpanName, pendingAttributes: Attributes): SpanStart {
  const { operation, isConsumer } = spanName;
  const { type, kind } = OPERATIONS.get(operation) ?? (isConsumer ? PROCESS : ADD);
  const queue = spanName.queueName(pendingAttributes);
  return {
    name: queue === "" ? operation : `${operation} ${queue}`,
    kind,
    attributes: {
      ...pendingAttributes,
      [SYSTEM_NAME]: "bullmq",
      [OPERATION_NAME]: operation,
      ...(type !== undefined && { [OPERATION_TYPE]: type }),
      ...(queue !== "" && { [DESTINATION_NAME]: queue }),
    },
  };
}

/** What BullMQ sets on a span: of any type, under names of its own. */
export type BullMQAttributes = Readonly<Record<string, unknown>>;

/** BullMQ's attributes under our names, as far as they have one. */
export function translateAttributes(bullmqAttributes: BullMQAttributes): Attributes {
  const translated: Attributes = {};
  for (const key of Object.keys(bullmqAttributes)) {
    const name = ATTRIBUTE_NAMES.get(key);
    const value = bullmqAttributes[key];
    if (name === undefined || value === "") continue;
    if (typeof value === "string" || typeof value === "number") translated[name] = value;
  }
  return translated;
}

/** Why BullMQ says that a job failed. */
export function failedReason(bullmqAttributes: BullMQAttributes | undefined): string {
  const reason = bullmqAttributes?.["bullmq.job.failed.reason"];
  return typeof reason === "string" ? reason : "";
}
