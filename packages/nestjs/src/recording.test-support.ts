import { context, trace } from "@opentelemetry/api";
import { w3cPropagator } from "@traceferry/core";
import { type RecordedSpan, type RecordedSpans, recordSpans } from "@traceferry/testkit/record";
import { expect, vi } from "vitest";

/** Starts to record spans, with the propagator that the packages recommend, and forgets what was observed before. */
export function startRecording(): RecordedSpans {
  observed.length = 0;
  return recordSpans({ propagator: w3cPropagator() });
}

/**
 * Waits until this many spans have ended, since a response may arrive before its span ends, and returns the last.
 *
 * @param open - the names of the spans that are still open then
 */
export async function waitForEnded(
  spans: RecordedSpans,
  count = 1,
  open: readonly string[] = [],
): Promise<RecordedSpan> {
  await vi.waitFor(() => expect(spans.ended.map(({ name }) => name)).toHaveLength(count));
  expect(spans.open).toEqual(open);
  const last = spans.ended.at(-1);
  if (last === undefined) throw new RangeError("no span has ended");
  return last;
}

/** The steps that an application went through since `startRecording`, with the id of the active span in each. */
export const observed: [step: string, spanId: string | undefined][] = [];

/** Notes the span that is active in this step. */
export function observe(step: string): void {
  observed.push([step, trace.getSpanContext(context.active())?.spanId]);
}

/** Returns the id of the span that was active when this step was last observed. */
export function spanIdAt(step: string): string | undefined {
  return observed.findLast(([name]) => name === step)?.[1];
}
