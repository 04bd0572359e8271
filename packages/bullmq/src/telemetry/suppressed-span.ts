import { type Context, createContextKey } from "@opentelemetry/api";
import { type Reporter, suppressTracing } from "@traceferry/core";
import type { Span } from "bullmq";
import { isObject } from "../carrier/metadata.js";

const ENCLOSING_CONTEXT_KEY = createContextKey("traceferry bullmq enclosing");

/**
 * BullMQ's housekeeping: locks extended, stalled jobs looked for, each job settled. Nobody asked for it, and
 * it never ends: no span is made, and what the Redis client does for it is not traced either.
 */
export class SuppressedSpan implements Span<Context> {
  readonly #reporter: Reporter;

  constructor(reporter: Reporter) {
    this.#reporter = reporter;
  }

  setSpanOnContext(ctx: Context): Context {
    try {
      return suppressTracing(ctx.setValue(ENCLOSING_CONTEXT_KEY, withoutSuppression(ctx)));
    } catch (error) {
      this.#reporter.fault("mute", error);
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
 * The context around the housekeeping: what is sent from within it names the span out there. BullMQ notes
 * the context of a failed attempt while it settles the job, and handlers of `paused` may add jobs.
 */
export function withoutSuppression(ctx: Context): Context {
  const enclosing = ctx.getValue(ENCLOSING_CONTEXT_KEY);
  return isContext(enclosing) ? enclosing : ctx;
}

function isContext(value: unknown): value is Context {
  return isObject(value) && typeof value.getValue === "function";
}
