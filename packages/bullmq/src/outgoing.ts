import { type Attributes, type Context, context } from "@opentelemetry/api";
import { type ActiveSpan, Instrumenter } from "@traceferry/core";
import type { JobsOptions } from "bullmq";
import { type Announcement, beginning } from "./attributes.js";
import { encodeMetadata } from "./carrier.js";
import { type IncomingJob, SETTINGS } from "./options.js";

const instrumenter = new Instrumenter<IncomingJob>(SETTINGS);

/**
 * Options for a job that is added without our Telemetry, so that its worker continues a trace. Gives a clone
 * with `telemetry.metadata`; the same object where there is nothing to send, or `omitContext` is set.
 *
 * A queue that has a Telemetry replaces the metadata in `add`, and keeps it in `addBulk`, in schedulers and flows.
 *
 * @param from - the context to send. Default: the active one.
 */
export function injectJobOptions(
  opts: JobsOptions = {},
  from: Context = context.active(),
): JobsOptions {
  const { telemetry } = opts;
  if (telemetry?.omitContext === true) return opts;
  const injection = instrumenter.inject(from);
  if (injection === undefined) return opts;
  const metadata = encodeMetadata(injection, telemetry?.metadata);
  return { ...opts, telemetry: { ...telemetry, metadata } };
}

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
