import type { Attributes, Context } from "@opentelemetry/api";
import type { ActiveSpan, Instrumenter } from "@traceferry/core";
import { type ParsedSpanName, spanStart } from "./attributes.js";
import { encodeMetadata } from "./carrier/metadata.js";
import type { IncomingJob } from "./options.js";

/** What BullMQ stores with a job that leaves in this context; `""`: nothing, the caller's own metadata stay. */
export function metadataFor(instrumenter: Instrumenter<IncomingJob>, sendContext: Context): string {
  const injection = instrumenter.inject(sendContext);
  return injection === undefined ? "" : encodeMetadata(injection);
}

/** Begins the span of an operation that adds jobs. */
export function startAddSpan(
  instrumenter: Instrumenter<IncomingJob>,
  spanName: ParsedSpanName,
  pendingAttributes: Attributes,
  parent: Context,
): ActiveSpan {
  const { name, kind, attributes } = spanStart(spanName, pendingAttributes);
  return instrumenter.startSpan({ name, kind, attributes, parent });
}
