import { context, ROOT_CONTEXT, type Span, trace } from "@opentelemetry/api";
import { w3cPropagator } from "@traceferry/core";
import { type RecordedSpan, type RecordedSpans, recordSpans } from "@traceferry/testkit/record";
import { expect } from "vitest";
import type { FakeBroker } from "./fake-kafkajs.test-support.js";

/** For tests with thousands of messages, which take longer than others on a busy machine. */
export const SLOW_TEST = { timeout: 60_000 };

/** Records spans, with the W3C propagator registered. */
export function startRecording(): RecordedSpans {
  return recordSpans({ propagator: w3cPropagator() });
}

/** Starts a span of the application that sends, with a function to run code in it. */
export function startCaller(
  spans: RecordedSpans,
  name = "place order",
): { readonly span: Span; run<T>(fn: () => T): T } {
  const span = spans.tracer().startSpan(name, {}, ROOT_CONTEXT);
  return { span, run: (fn) => context.with(trace.setSpan(ROOT_CONTEXT, span), fn) };
}

/** The ids in the traceparent of every record in a partition, each of which must have exactly one. */
export function sentIds(broker: FakeBroker, topic: string, partition = 0): string[] {
  return broker.partition(topic, partition).map(({ headers }) => {
    const traceparents = headers.filter(([key]) => key.toLowerCase() === "traceparent");
    expect(traceparents.map(([key]) => key)).toEqual(["traceparent"]);
    return String(traceparents[0]?.[1]).slice(3, 52);
  });
}

/** The PRODUCER spans that have ended. */
export function producerSpans(spans: RecordedSpans): RecordedSpan[] {
  return spans.ended.filter(({ kind }) => kind === "PRODUCER");
}

/** Trace id and span id, as they stand in a traceparent. */
export function idsOf({ traceId, spanId }: { traceId: string; spanId: string }): string {
  return `${traceId}-${spanId}`;
}
