import { type Attributes, type Context, context, ROOT_CONTEXT } from "@opentelemetry/api";
import type { ActiveSpan, Instrumenter } from "@traceferry/core";
import type { Span } from "bullmq";
import { type Announcement, failureOf, translate } from "../attributes.js";
import { openProcess } from "../incoming.js";
import type { IncomingJob } from "../options.js";
import { openAdd } from "../outgoing.js";
import { audible } from "./suppressed-span.js";

type Given = Readonly<Record<string, unknown>>;

/**
 * A span of jobs that are added or processed, as BullMQ wants to have it. BullMQ tells the queue just after it
 * began the span, so ours begins a little later: at `setSpanOnContext`, with its right name and with what
 * samplers want to see. Nothing here throws: see `bullmqTelemetry`.
 */
export class JobSpan implements Span<Context> {
  readonly #instrumenter: Instrumenter<IncomingJob>;
  readonly #announced: Announcement;
  readonly #received: Context | undefined;
  // What is known before the span begins.
  readonly #known: Attributes = {};
  #open: ActiveSpan | undefined;
  #outcome: "completed" | "failed" | undefined;
  #raised = false;
  #problem: unknown;

  /** @param received - what was read from the job's metadata, for a job that is processed. */
  constructor(
    instrumenter: Instrumenter<IncomingJob>,
    announced: Announcement,
    received: Context | undefined,
  ) {
    this.#instrumenter = instrumenter;
    this.#announced = announced;
    this.#received = received;
  }

  setSpanOnContext(ctx: Context): Context {
    try {
      return this.#begun(ctx).context;
    } catch (error) {
      this.#instrumenter.reporter.fault("set span", error);
      return this.#announced.consumer ? ROOT_CONTEXT : ctx;
    }
  }

  setAttribute(key: string, value: unknown): void {
    this.setAttributes({ [key]: value });
  }

  setAttributes(given: Given): void {
    try {
      const attributes = translate(given);
      if (this.#open === undefined) Object.assign(this.#known, attributes);
      else this.#open.set(attributes);
    } catch (error) {
      this.#instrumenter.reporter.fault("set attributes", error);
    }
  }

  addEvent(name: string, attributes?: Given): void {
    if (name === "job completed") {
      this.#outcome = "completed";
    } else if (name === "job failed") {
      this.#outcome = "failed";
      this.#problem = failureOf(attributes);
    }
  }

  recordException(exception: unknown): void {
    this.#raised = true;
    if (this.#outcome !== "failed") this.#problem = exception;
  }

  /**
   * Only now it is known how the job went. BullMQ records exceptions for calls to Redis that it then repeats;
   * and where a lock was lost it reports neither that the job completed nor that it failed.
   */
  end(): void {
    try {
      // A context manager may throw, so it is asked only where no span has begun yet.
      const open = this.#open ?? this.#begun(context.active());
      const lost = this.#raised && this.#outcome !== "completed";
      // BullMQ tells the message of what a processor threw, and not its type.
      if (this.#outcome === "failed" || lost) open.fail(this.#problem);
      open.end();
    } catch (error) {
      this.#instrumenter.reporter.fault("end span", error);
    }
  }

  #begun(ctx: Context): ActiveSpan {
    this.#open ??= this.#announced.consumer
      ? openProcess(this.#instrumenter, this.#announced, this.#known, this.#received)
      : openAdd(this.#instrumenter, this.#announced, this.#known, audible(ctx));
    return this.#open;
  }
}
