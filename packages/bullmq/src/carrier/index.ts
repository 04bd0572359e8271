import { type Context, context, ROOT_CONTEXT } from "@opentelemetry/api";
import { Instrumenter, withoutSpan } from "@traceferry/core";
import type { JobsOptions } from "bullmq";
import { SETTINGS } from "../options.js";
import { decodeJobOptions, encodeMetadata, jobCarrierGetter } from "./metadata.js";

/** The part of a job that extraction reads: BullMQ's `Job`, or any object that holds a job's options. */
export interface JobLike {
  readonly opts?: unknown;
}

// Uses the global propagator: the two functions take no options.
const globalInstrumenter = new Instrumenter(SETTINGS);

/**
 * Injects a context into the options of a job, for queues without our Telemetry. A queue that has a Telemetry
 * replaces the metadata in `add`; `addBulk`, schedulers and flows keep it.
 *
 * @param opts - the job's options. They are not changed. Default: none.
 * @param from - the context to send. Default: the active one.
 * @returns a clone with `telemetry.metadata`; the same object where there is nothing to send, or where
 *   `telemetry.omitContext` is set
 */
export function injectJobOptions(
  opts: JobsOptions = {},
  from: Context = context.active(),
): JobsOptions {
  const { telemetry } = opts;
  if (telemetry?.omitContext === true) return opts;
  const injection = globalInstrumenter.inject(from);
  if (injection === undefined) return opts;
  const metadata = encodeMetadata(injection, telemetry?.metadata);
  return { ...opts, telemetry: { ...telemetry, metadata } };
}

/**
 * Extracts the sender's context from a job: in a sandboxed processor, a loop over `getNextJob` or an event
 * handler. Reads every form in which jobs are known to carry a context.
 *
 * @param base - the context to extract into. Its own span and baggage are removed. Default: the root context.
 * @returns the base with the sender's remote span context and baggage; without a valid sender the base without a span
 */
export function extractJobContext(job: JobLike, base: Context = ROOT_CONTEXT): Context {
  const carrier = decodeJobOptions(job?.opts);
  // The span in the base is removed first: in a processor it is this job's own, and `extract` would return its
  // context as the one in progress.
  return globalInstrumenter.extract(carrier, jobCarrierGetter, undefined, withoutSpan(base)).parent;
}
