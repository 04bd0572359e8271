import { type Attributes, type Context, createContextKey, ROOT_CONTEXT } from "@opentelemetry/api";
import type { ActiveSpan, Instrumenter } from "@traceferry/core";
import { type ParsedSpanName, spanStart } from "./attributes.js";
import {
  decodeMetadata,
  EMPTY_CARRIER,
  isRecordLike,
  type JobCarrier,
  jobCarrierGetter,
} from "./carrier/metadata.js";
import type { IncomingJob } from "./options.js";

const CARRIER_KEY = createContextKey("traceferry bullmq carrier");

/**
 * Returns a context that holds a job's decoded metadata, for BullMQ to pass on to the job's span. Nothing is
 * extracted yet: `relation` needs the queue, which BullMQ sets later. It derives from the root context, as the
 * active one is unrelated to the job. Never throws.
 */
export function contextOfMetadata(metadata: unknown): Context {
  return ROOT_CONTEXT.setValue(CARRIER_KEY, decodeMetadata(metadata));
}

/**
 * Extracts the sender of a job that is processed, and starts the job's span.
 *
 * @param metadataContext - the result of `contextOfMetadata`; undefined for a job without metadata
 */
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
  return isRecordLike(carrier) ? carrier : EMPTY_CARRIER;
}
