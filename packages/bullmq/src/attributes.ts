import { type Attributes, SpanKind } from "@opentelemetry/api";

// Semantic conventions 1.45. Attributes that they do not define begin with `bullmq.`.
const SYSTEM_NAME = "messaging.system.name";
const OPERATION_NAME = "messaging.operation.name";
const OPERATION_TYPE = "messaging.operation.type";
const DESTINATION_NAME = "messaging.destination.name";

/**
 * The attributes that BullMQ sets, by its name for them, with the name on our span. Others are dropped: results,
 * options and lists of job names hold the application's data, and are unbounded.
 */
const ATTRIBUTE_NAMES: ReadonlyMap<string, string> = new Map([
  ["bullmq.queue.name", DESTINATION_NAME],
  // On the spans of both sides, so that they can be correlated.
  ["bullmq.job.id", "messaging.message.id"],
  ["bullmq.job.bulk.count", "messaging.batch.message_count"],
  ["bullmq.worker.id", "messaging.client.id"],
  ["bullmq.worker.name", "bullmq.worker.name"],
  ["bullmq.job.name", "bullmq.job.name"],
  // Holds the name of the job at the root of the flow.
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
 * Operations that differ from `ADD` and `PROCESS`. By the conventions a span is a PRODUCER only where its own
 * context is sent with the job.
 */
const OPERATIONS: ReadonlyMap<string, Operation> = new Map<string, Operation>([
  ["addNode", { type: "create", kind: SpanKind.PRODUCER }],
  ["addFlow", { type: "send", kind: SpanKind.CLIENT }],
  ["addBulkFlows", { type: "send", kind: SpanKind.CLIENT }],
  // Failed jobs are queued again with the context they have. The conventions have no type for that.
  ["retryJobs", { kind: SpanKind.CLIENT }],
]);

/** The span name that BullMQ passes to `startSpan`, in its parts: `process orders`, `add orders.place`. */
export class ParsedSpanName {
  /** BullMQ's operation: `process`, `add`. */
  readonly operation: string;
  /** True when BullMQ starts a CONSUMER span. */
  readonly isConsumer: boolean;
  readonly #destination: string;

  constructor(name: string, isConsumer: boolean) {
    // A span name without a destination is the operation alone.
    const end = `${name} `.indexOf(" ");
    this.operation = name.slice(0, end);
    this.isConsumer = isConsumer;
    this.#destination = name.slice(end + 1);
  }

  /**
   * The name of the queue; `""` where there is none or it is unknown. It is the destination in the span name,
   * but for `add`: there the span name holds queue and job with a dot in between, and both may have dots, so that
   * the attribute is used. For flow nodes the attribute is wrong: BullMQ 5.34 sets it to the name of the job.
   *
   * @param pendingAttributes - the attributes that BullMQ set before the span is started, translated
   */
  queueName(pendingAttributes: Attributes): string {
    if (this.operation !== "add") return this.#destination;
    const queue = pendingAttributes[DESTINATION_NAME];
    return typeof queue === "string" ? queue : "";
  }
}

/** The name, kind and attributes that a span is started with. */
export interface SpanStart {
  /** Operation and queue, such as `add orders`. It never holds the name of a job, whose cardinality is unbounded. */
  readonly name: string;
  readonly kind: SpanKind;
  readonly attributes: Attributes;
}

/**
 * Derives a span's name, kind and attributes by the messaging conventions.
 *
 * @param pendingAttributes - the attributes that BullMQ set before the span is started, translated
 */
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

/** Attributes as BullMQ sets them: under its own names, with values of any type. */
export type BullMQAttributes = Readonly<Record<string, unknown>>;

/**
 * Translates BullMQ's attributes to our names. Unknown names are dropped, and so are empty texts and values that
 * are neither text nor number.
 */
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

/** The reason in the attributes of BullMQ's event `job failed`; `""` where it gives none. */
export function failedReason(bullmqAttributes: BullMQAttributes | undefined): string {
  const reason = bullmqAttributes?.["bullmq.job.failed.reason"];
  return typeof reason === "string" ? reason : "";
}
