import { type Context, context, ROOT_CONTEXT, SpanKind } from "@opentelemetry/api";
import { Instrumenter } from "@traceferry/core";
import type { ContextManager, Span, Telemetry } from "bullmq";
import { ParsedSpanName } from "../attributes.js";
import { contextOfMetadata } from "../incoming.js";
import { type BullMQTelemetryOptions, type IncomingJob, SETTINGS } from "../options.js";
import { metadataFor } from "../outgoing.js";
import { JobSpan } from "./job-span.js";
import { SuppressedSpan, withoutSuppression } from "./suppressed-span.js";

/**
 * Makes the `telemetry` for BullMQ's classes: `new Queue(name, { connection, telemetry: bullmqTelemetry() })`, and
 * the same for `Worker` and `FlowProducer`. Jobs carry the context of the span that added them, and workers
 * continue it. One telemetry may serve any number of queues and workers.
 *
 * None of its methods throws. BullMQ does not catch errors where it calls them: one job with unreadable metadata
 * would stop the worker for good, without an event or an error.
 *
 * @throws TypeError when an option is wrong; it names the option and its value.
 */
export function bullmqTelemetry(options: BullMQTelemetryOptions = {}): Telemetry<Context> {
  const instrumenter = new Instrumenter<IncomingJob>(SETTINGS, options);
  const suppressedSpan = new SuppressedSpan(instrumenter.reporter);
  return {
    tracer: {
      startSpan(
        name: string,
        spanOptions?: { readonly kind: number },
        metadataContext?: Context,
      ): Span<Context> {
        const kind = spanOptions?.kind;
        if (kind !== SpanKind.PRODUCER && kind !== SpanKind.CONSUMER) return suppressedSpan;
        const spanName = new ParsedSpanName(name, kind === SpanKind.CONSUMER);
        return new JobSpan(instrumenter, spanName, metadataContext);
      },
    },
    contextManager: createContextManager(instrumenter),
  };
}

function createContextManager(instrumenter: Instrumenter<IncomingJob>): ContextManager<Context> {
  const { reporter } = instrumenter;
  return {
    root: () => ROOT_CONTEXT,

    active() {
      try {
        return context.active();
      } catch (error) {
        reporter.fault("active context", error);
        return ROOT_CONTEXT;
      }
    },

    with(ctx, fn) {
      let called = false;
      let returned = false;
      let result: ReturnType<typeof fn> | undefined;
      try {
        context.with(ctx, () => {
          called = true;
          result = fn();
          returned = true;
        });
      } catch (error) {
        // An error of BullMQ's own function is thrown on. Where the context manager throws after it has called the
        // function, the function must not be called again.
        if (called && !returned) throw error;
        reporter.fault("with context", error);
      }
      return called ? result : fn();
    },

    getMetadata(ctx) {
      try {
        return metadataFor(instrumenter, withoutSuppression(ctx));
      } catch (error) {
        reporter.fault("get metadata", error);
        return "";
      }
    },

    fromMetadata: (_active, metadata) => contextOfMetadata(metadata),
  };
}
