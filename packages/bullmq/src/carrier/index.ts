import { type Context, context, ROOT_CONTEXT } from "@opentelemetry/api";
import { Instrumenter, withoutSpan } from "@traceferry/core";
import type { JobsOptions } from "bullmq";
import { SETTINGS } from "../options.js";
import { decodeJobOptions, encodeMetadata, jobCarrierGetter } from "./metadata.js";

/** A job as far as we look at it: BullMQ's `Job`, or an object that was read from elsewhere. */
export interface JobLike {
  readonly opts?: unknown;
}

// With the API's globals only, as the pure functions have no options.
const globalInstrumenter = new Instrumenter(SETTINGS);

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
  const injection = globalInstrumenter.inject(from);
  if (injection === undefined) return opts;
  const metadata = encodeMetadata(injection, telemetry?.metadata);
  return { ...opts, telemetry: { ...telemetry, metadata } };
}

/**
 * The context a job was sent in, for code of your own: in a sandboxed processor, in a loop over
 * `getNextJob`, in handlers of events. Reads every form in which jobs are known to carry one.
 *
 * @param base - what the context is put into. Its own span and baggage do not stay. Default: the root context.
 * @returns the base with the sender's span, remote, and baggage; without a valid sender the base without span
 */
export function extractJobContext(job: JobLike, base: Context = ROOT_CONTEXT): Context {
  const carrier = decodeJobOptions(job?.opts);
  // Without the span: in a processor it is the one that was made for this very job, and would be found.
  return globalInstrumenter.extract(carrier, jobCarrierGetter, undefined, withoutSpan(base)).parent;
}
