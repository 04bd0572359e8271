import { type Attributes, type Context, createContextKey, ROOT_CONTEXT } from "@opentelemetry/api";
import { type ActiveSpan, Instrumenter, withoutSpan } from "@traceferry/core";
import { type Announcement, beginning } from "./attributes.js";
import {
  decodeJobOptions,
  decodeMetadata,
  EMPTY,
  GETTER,
  isRecord,
  type JobCarrier,
} from "./carrier.js";
import { type IncomingJob, SETTINGS } from "./options.js";

/** A job as far as we look at it: BullMQ's `Job`, or an object that was read from elsewhere. */
export interface JobLike {
  readonly opts?: unknown;
}

const CARRIER = createContextKey("traceferry bullmq carrier");
const instrumenter = new Instrumenter(SETTINGS);

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
  return instrumenter.extract(carrier, GETTER, undefined, withoutSpan(base)).parent;
}

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
