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
 * BullMQ's span of an operation that adds or processes jobs. BullMQ sets the queue just after `startSpan`, so our
 * span is started later, in `setSpanOnContext`: with its final name, and with the attributes that samplers need.
 * No method throws: see `bullmqTelemetry`.
 */
export class JobSpan implements Span<Context> {
  readonly #instrumenter: Instrumenter<IncomingJob>;
  readonly #spanName: ParsedSpanName;
  readonly #metadataContext: Context | undefined;
  // Set before the span is started.
  readonly #pendingAttributes: Attributes = {};
  #span: ActiveSpan | undefined;
  #outcome: "completed" | "failed" | undefined;
  #recordedException = false;
  #error: unknown;

  /** @param metadataContext - holds the metadata of a job that is processed: see `contextOfMetadata` */
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
      else if (Object.keys(attributes).length > 0) this.#span.set(attributes);
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
   * Sets the status and ends the span. A recorded exception alone is no failure: BullMQ also records those of
   * calls to Redis that it then repeats. It is one if the job did not complete either: where a lock was lost,
   * BullMQ sends neither `job completed` nor `job failed`.
   */
  end(): void {
    try {
      // A context manager may throw: it is called only if the span was not started yet.
      const span = this.#span ?? this.#startOnce(context.active());
      const failedWithoutEvent = this.#recordedException && this.#outcome !== "completed";
      // For a failed job the error is BullMQ's reason, a text: the type of what the processor threw is unknown.
      if (this.#outcome === "failed" || failedWithoutEvent) span.fail(this.#error);
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
