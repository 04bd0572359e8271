import type { Attributes, Context } from "@opentelemetry/api";
import type { ActiveSpan, Instrumenter } from "@traceferry/core";
import { type ParsedSpanName, spanStart } from "./attributes.js";
import { encodeMetadata } from "./carrier/metadata.js";
import type { IncomingJob } from "./options.js";

/** The metadata for a job that is added in this context. With `""` BullMQ keeps the caller's own metadata. */
export function metadataFor(instrumenter: Instrumenter<IncomingJob>, sendContext: Context): string {
  const injection = instrumenter.inject(sendContext);
  return injection === undefined ? "" : encodeMetadata(injection);
}

/** Starts the span of an operation that adds jobs. */
export function startAddSpan(
  instrumenter: Instrumenter<IncomingJob>,
  spanName: ParsedSpanName,
  pendingAttributes: Attributes,
  parent: Context,
): ActiveSpan {
  const { name, kind, attributes } = spanStart(spanName, pendingAttributes);
  return instrumenter.startSpan({ name, kind, attributes, parent });
}
