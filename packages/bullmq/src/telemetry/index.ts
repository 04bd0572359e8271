import { type Context, context, ROOT_CONTEXT, SpanKind } from "@opentelemetry/api";
import { Instrumenter } from "@traceferry/core";
import type { ContextManager, Span, Telemetry } from "bullmq";
import { Announcement } from "../attributes.js";
import { withMetadata } from "../incoming.js";
import { type BullMQTelemetryOptions, type IncomingJob, SETTINGS } from "../options.js";
import { metadataFor } from "../outgoing.js";
import { JobSpan } from "./job-span.js";
import { audible, MutedSpan } from "./suppressed-span.js";

/**
 * What BullMQ's classes take as `telemetry`: `new Queue(name, { connection, telemetry: bullmqTelemetry() })`,
 * and the same for `Worker` and `FlowProducer`. Jobs carry the context of the span that added them; a worker
 * continues it. One object may serve any number of queues and workers.
 *
 * None of its methods throws. BullMQ calls them where nothing catches: a job whose metadata cannot be read would
 * stop the worker for good, without an event or an error.
 *
 * @throws TypeError when an option is wrong; it names the option and its value.
 */
export function bullmqTelemetry(options: BullMQTelemetryOptions = {}): Telemetry<Context> {
  const instrumenter = new Instrumenter<IncomingJob>(SETTINGS, options);
  const muted = new MutedSpan(instrumenter.reporter);
  return {
    tracer: {
      startSpan(
        name: string,
        start?: { readonly kind: number },
        received?: Context,
      ): Span<Context> {
        const kind = start?.kind;
        if (kind !== SpanKind.PRODUCER && kind !== SpanKind.CONSUMER) return muted;
        const announced = new Announcement(name, kind === SpanKind.CONSUMER);
        return new JobSpan(instrumenter, announced, received);
      },
    },
    contextManager: contexts(instrumenter),
  };
}

function contexts(instrumenter: Instrumenter<IncomingJob>): ContextManager<Context> {
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
      let entered = false;
      let left = false;
      let result: ReturnType<typeof fn> | undefined;
      try {
        context.with(ctx, () => {
          entered = true;
          result = fn();
          left = true;
        });
      } catch (error) {
        // What BullMQ's own function throws passes; a context manager that throws must not run it twice.
        if (entered && !left) throw error;
        reporter.fault("with context", error);
      }
      return entered ? result : fn();
    },

    getMetadata(ctx) {
      try {
        return metadataFor(instrumenter, audible(ctx));
      } catch (error) {
        reporter.fault("get metadata", error);
        return "";
      }
    },

    fromMetadata: (_active, metadata) => withMetadata(metadata),
  };
}
