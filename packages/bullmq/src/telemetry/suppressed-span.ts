import { type Context, createContextKey } from "@opentelemetry/api";
import { type Reporter, suppressTracing } from "@traceferry/core";
import type { Span } from "bullmq";
import { isRecordLike } from "../carrier/metadata.js";

const ENCLOSING_CONTEXT_KEY = createContextKey("traceferry bullmq enclosing");

/**
 * BullMQ's span of an internal operation: extending locks, checking for stalled jobs, moving a job to completed or
 * failed. These repeat for as long as a worker runs, and no caller asked for them. So no span is made, and tracing
 * is suppressed inside, for the calls of the Redis client too.
 */
export class SuppressedSpan implements Span<Context> {
  readonly #reporter: Reporter;

  /** @param reporter - counts and reports what a foreign context throws */
  constructor(reporter: Reporter) {
    this.#reporter = reporter;
  }

  setSpanOnContext(ctx: Context): Context {
    try {
      return suppressTracing(ctx.setValue(ENCLOSING_CONTEXT_KEY, withoutSuppression(ctx)));
    } catch (error) {
      this.#reporter.fault("suppress", error);
      return ctx;
    }
  }

  setAttribute(): void {}
  setAttributes(): void {}
  addEvent(): void {}
  recordException(): void {}
  end(): void {}
}

/**
 * Returns the context that encloses an internal operation; any other context as it is. Jobs that are added inside,
 * as by handlers of `paused`, are children of the enclosing span; and BullMQ stores that span's context with a
 * failed attempt, which it does inside an internal operation.
 */
export function withoutSuppression(ctx: Context): Context {
  const enclosing = ctx.getValue(ENCLOSING_CONTEXT_KEY);
  return isContext(enclosing) ? enclosing : ctx;
}

function isContext(value: unknown): value is Context {
  return isRecordLike(value) && typeof value.getValue === "function";
}
