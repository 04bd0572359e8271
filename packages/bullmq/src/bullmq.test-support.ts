import { type Job, SpanKind, type Telemetry, trace } from "bullmq";

/** The limit of tests that repeat something thousands of times: a busy machine may take ten times as long as an idle one. */
export const HEAVY_TEST_MS = 60_000;

/** What Redis keeps of a job, in the form it keeps it in. */
export interface StoredJob {
  readonly id: string;
  readonly data: string;
  /** JSON: `tm` is the context. */
  readonly opts: string;
}

type JobsOptions = Job["opts"];
let jobs = 0;

/**
 * What BullMQ 6.7 does around a Telemetry, without Redis: its own `trace`, and around that the calls that
 * `Queue.add` (queue.js:150) and `Worker.processJob` (worker.js:575) make, in their order.
 * integration/src/bullmq.test.ts has the real ones.
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
      const kept = opts?.telemetry?.omitContext !== true && metadata;
      const job = store(data, kept ? { ...opts, telemetry: { metadata } } : opts);
      span?.setAttributes({ "bullmq.job.name": "place", "bullmq.job.id": job.id });
      return job;
    },
  );
}

function store(data: unknown, opts: JobsOptions = {}): StoredJob {
  if (opts.jobId === "0") throw new RangeError("JobId cannot be '0' or start with '0:'");
  const { telemetry, ...others } = opts;
  const stored = {
    ...others,
    ...(telemetry?.metadata !== undefined && { tm: telemetry.metadata }),
    ...(telemetry?.omitContext !== undefined && { omc: telemetry.omitContext }),
  };
  return {
    id: opts.jobId ?? String(++jobs),
    data: JSON.stringify(data),
    opts: JSON.stringify(stored),
  };
}

/** How many jobs were added so far without an id of their own. */
export function jobsAdded(): number {
  return jobs;
}

/** What happened to a job that was processed. */
export interface Processed {
  /** What BullMQ would note beside a failed job: the hash field `tm`. */
  readonly retried?: string | undefined;
}

/** Processes a job as a worker does: what the processor throws goes nowhere but onto the job. */
export async function processJob(
  telemetry: Telemetry | undefined,
  stored: StoredJob,
  processor: () => unknown,
): Promise<Processed> {
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
        await settle(telemetry, "complete");
        span?.addEvent("job completed", { "bullmq.job.result": JSON.stringify(result) });
        span?.setAttributes({ "bullmq.job.attempts.made": 1 });
        return {};
      } catch (error) {
        return await failed(error);
      } finally {
        span?.setAttributes({ "bullmq.job.attempt_finished_timestamp": 1_780_000_000_000 });
      }

      // worker.js:952: a processor that throws nothing at all makes BullMQ itself fail.
      async function failed(error: unknown): Promise<Processed> {
        if (error === undefined || error === null) {
          span?.recordException("Cannot read properties of undefined (reading 'message')");
          return {};
        }
        const retried = await noteFailure(telemetry);
        const reason = error instanceof Error ? error.message : undefined;
        span?.addEvent("job failed", { "bullmq.job.failed.reason": reason });
        span?.setAttributes({ "bullmq.job.attempts.made": 1 });
        return { retried };
      }
    },
    opts.tm,
  );
}

/** What a worker does now and then, and with each job: job.js:417, lock-manager.js:29. */
export function settle(
  telemetry: Telemetry | undefined,
  operation: string,
  work: () => unknown = () => undefined,
): Promise<unknown> {
  return trace(telemetry, SpanKind.INTERNAL, "orders", operation, "orders", async (span) => {
    span?.setAttributes({ "bullmq.job.id": "7" });
    return await work();
  });
}

/** As job.js:474 does it: the one place of housekeeping that asks for metadata. */
function noteFailure(telemetry: Telemetry | undefined): Promise<string | undefined> {
  return trace(
    telemetry,
    SpanKind.INTERNAL,
    "orders",
    "retry",
    "orders",
    async (_span, metadata) => metadata,
  );
}
