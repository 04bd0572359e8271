import { type Job, SpanKind, type Telemetry, trace } from "bullmq";

/** For tests that repeat something thousands of times: a busy machine may take ten times as long as an idle one. */
export const SLOW_TEST = { timeout: 60_000 };

/** A job as Redis holds it. */
export interface StoredJob {
  readonly id: string;
  readonly data: string;
  /** The options as JSON text; `tm` in them is the metadata. */
  readonly opts: string;
}

type JobsOptions = Job["opts"];
let addedJobs = 0;

/**
 * Adds a job to the queue `orders`. As the other functions here it calls a Telemetry as BullMQ 6.7 does, without
 * Redis: with BullMQ's own `trace`, and inside it the calls of `Queue.add` (queue.js:150) and
 * `Worker.processJob` (worker.js:575), in their order. integration/src/bullmq tests the real classes.
 */
export async function addJob(
  telemetry: Telemetry | undefined,
  data: unknown,
  opts?: JobsOptions,
): Promise<StoredJob> {
  return trace(
    telemetry,
    SpanKind.PRODUCER,
    "orders",
    "add",
    "orders.place",
    async (span, metadata) => {
      const isSent = opts?.telemetry?.omitContext !== true && metadata;
      const job = storeJob(data, isSent ? { ...opts, telemetry: { metadata } } : opts);
      span?.setAttributes({ "bullmq.job.name": "place", "bullmq.job.id": job.id });
      return job;
    },
  );
}

function storeJob(data: unknown, opts: JobsOptions = {}): StoredJob {
  if (opts.jobId === "0") throw new RangeError("JobId cannot be '0' or start with '0:'");
  const { telemetry, ...others } = opts;
  const stored = {
    ...others,
    ...(telemetry?.metadata !== undefined && { tm: telemetry.metadata }),
    ...(telemetry?.omitContext !== undefined && { omc: telemetry.omitContext }),
  };
  return {
    id: opts.jobId ?? String(++addedJobs),
    data: JSON.stringify(data),
    opts: JSON.stringify(stored),
  };
}

/** Returns how many jobs without an id of their own were added so far. */
export function jobsAdded(): number {
  return addedJobs;
}

/** The result of an attempt to process a job. */
export interface ProcessedJob {
  /** The metadata that BullMQ would store with a failed job, in the hash field `tm`. */
  readonly retryMetadata?: string | undefined;
}

/** Processes a job as a worker does: an error of the processor fails the job, and is not thrown on. */
export async function processJob(
  telemetry: Telemetry | undefined,
  stored: StoredJob,
  processor: () => unknown,
): Promise<ProcessedJob> {
  const opts: { tm?: string } = JSON.parse(stored.opts);
  return trace(
    telemetry,
    SpanKind.CONSUMER,
    "orders",
    "process",
    "orders",
    async (span) => {
      span?.setAttributes({
        "bullmq.worker.id": "w-1",
        "bullmq.worker.name": undefined,
        "bullmq.job.id": stored.id,
        "bullmq.job.name": "place",
      });
      try {
        const result = await processor();
        await runInternalOperation(telemetry, "complete");
        span?.addEvent("job completed", { "bullmq.job.result": JSON.stringify(result) });
        span?.setAttributes({ "bullmq.job.attempts.made": 1 });
        return {};
      } catch (error) {
        return await failJob(error);
      } finally {
        span?.setAttributes({ "bullmq.job.attempt_finished_timestamp": 1_780_000_000_000 });
      }

      // worker.js:952: BullMQ itself fails at a processor that throws `undefined` or `null`.
      async function failJob(error: unknown): Promise<ProcessedJob> {
        if (error === undefined || error === null) {
          span?.recordException("Cannot read properties of undefined (reading 'message')");
          return {};
        }
        const retryMetadata = await moveToFailed(telemetry);
        const reason = error instanceof Error ? error.message : undefined;
        span?.addEvent("job failed", { "bullmq.job.failed.reason": reason });
        span?.setAttributes({ "bullmq.job.attempts.made": 1 });
        return { retryMetadata };
      }
    },
    opts.tm,
  );
}

/** Runs an internal operation of BullMQ, such as completing a job (job.js:417) or extending locks (lock-manager.js:29). */
export function runInternalOperation(
  telemetry: Telemetry | undefined,
  operation: string,
  work: () => unknown = () => undefined,
): Promise<unknown> {
  return trace(telemetry, SpanKind.INTERNAL, "orders", operation, "orders", async (span) => {
    span?.setAttributes({ "bullmq.job.id": "7" });
    return await work();
  });
}

/** Follows job.js:474, the one internal operation that asks for metadata. */
function moveToFailed(telemetry: Telemetry | undefined): Promise<string | undefined> {
  return trace(
    telemetry,
    SpanKind.INTERNAL,
    "orders",
    "retry",
    "orders",
    async (_span, metadata) => metadata,
  );
}
