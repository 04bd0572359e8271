import { context, ROOT_CONTEXT, type Span, trace } from "@opentelemetry/api";
import { w3cPropagator } from "@traceferry/core";
import { type RecordedSpan, type RecordedSpans, recordSpans } from "@traceferry/testkit/record";
import { expect } from "vitest";
import type { FakeBroker } from "./fake-kafkajs.test-support.js";

/** The time limit of tests with thousands of messages: on a machine that is busy they take longer than others. */
export const HEAVY_TEST_MS = 30_000;

export const record = () => recordSpans({ propagator: w3cPropagator() });

/** A caller's own span, with a way to run in it. */
export function start(
  spans: RecordedSpans,
  name = "place order",
): { readonly span: Span; run<T>(fn: () => T): T } {
  const span = spans.tracer().startSpan(name, {}, ROOT_CONTEXT);
  return { span, run: (fn) => context.with(trace.setSpan(ROOT_CONTEXT, span), fn) };
}

/** Trace id and span id of every record in a partition, as a reader of the broker finds them. */
export function carried(broker: FakeBroker, topic: string, partition = 0): string[] {
  return broker.partition(topic, partition).map(({ headers }) => {
    const values = headers.filter(([key]) => key.toLowerCase() === "traceparent");
    expect(values.map(([key]) => key)).toEqual(["traceparent"]);
    return String(values[0]?.[1]).slice(3, 52);
  });
}

export function sends(spans: RecordedSpans): RecordedSpan[] {
  return spans.ended.filter(({ kind }) => kind === "PRODUCER");
}

export function ids({ traceId, spanId }: { traceId: string; spanId: string }): string {
  return `${traceId}-${spanId}`;
}
