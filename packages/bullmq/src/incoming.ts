import { type Attributes, type Context, createContextKey, ROOT_CONTEXT } from "@opentelemetry/api";
import type { ActiveSpan, Instrumenter } from "@traceferry/core";
import { type Announcement, beginning } from "./attributes.js";
import { decodeMetadata, EMPTY, GETTER, isRecord, type JobCarrier } from "./carrier/metadata.js";
import type { IncomingJob } from "./options.js";

const CARRIER = createContextKey("traceferry bullmq carrier");

/**
 * What BullMQ holds between reading a job's metadata and beginning its span. The sender is extracted only
 * then, when the queue is known, and in nothing but the root context: BullMQ reads while whatever is active.
 */
export function withMetadata(metadata: unknown): Context {
  return ROOT_CONTEXT.setValue(CARRIER, decodeMetadata(metadata));
}

/** Begins the span of a job that is processed. @param received - what `withMetadata` gave; none without metadata. */
export function openProcess(
  to: Instrumenter<IncomingJob>,
  announced: Announcement,
  known: Attributes,
  received: Context | undefined,
): ActiveSpan {
  const carrier = carrierIn(received);
  const job: IncomingJob = { queue: announced.queue(known), carrier };
  const extraction = to.extract(carrier, GETTER, job, ROOT_CONTEXT);
  const { name, kind, attributes } = beginning(announced, known);
  const { parent, links } = extraction;
  return to.startSpan({ name, kind, attributes, parent, links }, extraction);
}

function carrierIn(received: Context | undefined): JobCarrier {
  const carrier = received?.getValue(CARRIER);
  return isRecord(carrier) ? carrier : EMPTY;
}
