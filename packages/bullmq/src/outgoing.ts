import type { Attributes, Context } from "@opentelemetry/api";
import type { ActiveSpan, Instrumenter } from "@traceferry/core";
import { type Announcement, beginning } from "./attributes.js";
import { encodeMetadata } from "./carrier/metadata.js";
import type { IncomingJob } from "./options.js";

/** What BullMQ stores with a job that leaves in this context; `""`: nothing, the caller's own metadata stay. */
export function metadataFor(to: Instrumenter<IncomingJob>, from: Context): string {
  const injection = to.inject(from);
  return injection === undefined ? "" : encodeMetadata(injection);
}

/** Begins the span of an operation that adds jobs. */
export function openAdd(
  to: Instrumenter<IncomingJob>,
  announced: Announcement,
  known: Attributes,
  parent: Context,
): ActiveSpan {
  const { name, kind, attributes } = beginning(announced, known);
  return to.startSpan({ name, kind, attributes, parent });
}
