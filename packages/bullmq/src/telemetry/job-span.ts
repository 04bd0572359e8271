import { type Attributes, type Context, context, ROOT_CONTEXT } from "@opentelemetry/api";
import type { ActiveSpan, Instrumenter } from "@traceferry/core";
import type { Span } from "bullmq";
import {
  type BullMQAttributes,
  failedReason,
  type ParsedSpanName,
  translateAttributes,
} from "../attributes.js";
import { startProcessSpan } from "../incoming.js";
import type { IncomingJob } from "../options.js";
import { startAddSpan } from "../outgoing.js";
import { withoutSuppression } from "./suppressed-span.js";

/**
 * A span of jobs that are added or processed, as BullMQ wants to have it. BullMQ tells the queue just after it
 * began the span, so ours begins a little later: at `setSpanOnContext`, with its right name and with what
 * samplers want to see. Nothing here throws: see `bullmqTelemetry`.
 */
export class JobSpan implements Span<Context> {
  readonly #instrumenter: Instrumenter<IncomingJob>;
  readonly #spanName: ParsedSpanName;
  readonly #metadataContext: Context | undefined;
  // What is known before the span begins.
  readonly #pendingAttributes: Attributes = {};
  #span: ActiveSpan | undefined;
  #outcome: "completed" | "failed" | undefined;
  #recordedException = false;
  #error: unknown;

  /** @param metadataContext - what was read from the job's metadata, for a job that is processed. */
  constructor(
    instrumenter: Instrumenter<IncomingJob>,
    spanName: ParsedSpanName,
    metadataContext: Context | undefined,
  ) {
    this.#instrumenter = instrumenter;
    this.#spanName = spanName;
    this.#metadataContext = metadataContext;
  }

  setSpanOnContext(ctx: Context): Context {
    try {
      return this.#startOnce(ctx).context;
    } catch (error) {
      this.#instrumenter.reporter.fault("set span", error);
      return this.#spanName.isConsumer ? ROOT_CONTEXT : ctx;
    }
  }

  setAttribute(key: string, value: unknown): void {
    this.setAttributes({ [key]: value });
  }

  setAttributes(bullmqAttributes: BullMQAttributes): void {
    try {
      const attributes = translateAttributes(bullmqAttributes);
      if (this.#span === undefined) Object.assign(this.#pendingAttributes, attributes);
      else this.#span.set(attributes);
    } catch (error) {
      this.#instrumenter.reporter.fault("set attributes", error);
    }
  }

  addEvent(name: string, attributes?: BullMQAttributes): void {
    if (name === "job completed") {
      this.#outcome = "completed";
    } else if (name === "job failed") {
      this.#outcome = "failed";
      this.#error = failedReason(attributes);
    }
  }

  recordException(exception: unknown): void {
    this.#recordedException = true;
    if (this.#outcome !== "failed") this.#error = exception;
  }

  /**
   * Only now it is known how the job went. BullMQ records exceptions for calls to Redis that it then repeats;
   * and where a lock was lost it reports neither that the job completed nor that it failed.
   */
  end(): void {
    try {
      // A context manager may throw, so it is asked only where no span has begun yet.
      const span = this.#span ?? this.#startOnce(context.active());
      const lost = this.#recordedException && this.#outcome !== "completed";
      // BullMQ tells the message of what a processor threw, and not its type.
      if (this.#outcome === "failed" || lost) span.fail(this.#error);
      span.end();
    } catch (error) {
      this.#instrumenter.reporter.fault("end span", error);
    }
  }

  #startOnce(ctx: Context): ActiveSpan {
    const attributes = this.#pendingAttributes;
    this.#span ??= this.#spanName.isConsumer
      ? startProcessSpan(this.#instrumenter, this.#spanName, attributes, this.#metadataContext)
      : startAddSpan(this.#instrumenter, this.#spanName, attributes, withoutSuppression(ctx));
    return this.#span;
  }
}
