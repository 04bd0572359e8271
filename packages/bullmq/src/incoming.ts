import { type Attributes, type Context, createContextKey, ROOT_CONTEXT } from "@opentelemetry/api";
import type { ActiveSpan, Instrumenter } from "@traceferry/core";
import { type ParsedSpanName, spanStart } from "./attributes.js";
import {
  decodeMetadata,
  EMPTY_CARRIER,
  isObject,
  type JobCarrier,
  jobCarrierGetter,
} from "./carrier/metadata.js";
import type { IncomingJob } from "./options.js";

const CARRIER_KEY = createContextKey("traceferry bullmq carrier");

/**
 * What BullMQ holds between reading a job's metadata and beginning its span. The sender is extracted only
 * then, when the queue is known, and in nothing but the root context: BullMQ reads while whatever is active.
 */
export function contextOfMetadata(metadata: unknown): Context {
  return ROOT_CONTEXT.setValue(CARRIER_KEY, decodeMetadata(metadata));
}

/** Begins the span of a job that is processed. @param metadataContext - what `contextOfMetadata` gave; none without metadata. */
export function startProcessSpan(
  instrumenter: Instrumenter<IncomingJob>,
  spanName: ParsedSpanName,
  pendingAttributes: Attributes,
  metadataContext: Context | undefined,
): ActiveSpan {
  const carrier = carrierOf(metadataContext);
  const job: IncomingJob = { queue: spanName.queueName(pendingAttributes), carrier };
  const extraction = instrumenter.extract(carrier, jobCarrierGetter, job, ROOT_CONTEXT);
  const { name, kind, attributes } = spanStart(spanName, pendingAttributes);
  const { parent, links } = extraction;
  return instrumenter.startSpan({ name, kind, attributes, parent, links }, extraction);
}

function carrierOf(metadataContext: Context | undefined): JobCarrier {
  const carrier = metadataContext?.getValue(CARRIER_KEY);
  return isObject(carrier) ? carrier : EMPTY_CARRIER;
}
