import { context, trace } from "@opentelemetry/api";
import { w3cPropagator } from "@traceferry/core";
import { type RecordedSpan, type RecordedSpans, recordSpans } from "@traceferry/testkit/record";
import { expect, vi } from "vitest";

/** Begins to record spans, with the propagator that the packages recommend, and what places see. */
export function record(): RecordedSpans {
  seen.length = 0;
  return recordSpans({ propagator: w3cPropagator() });
}

/**
 * Waits until this many spans have ended, since an answer may arrive before its span ends, and gives the last one.
 *
 * @param open - the names of the spans that are open even then
 */
export async function ended(
  spans: RecordedSpans,
  count = 1,
  open: readonly string[] = [],
): Promise<RecordedSpan> {
  await vi.waitFor(() => expect(spans.ended.map(({ name }) => name)).toHaveLength(count));
  expect(spans.open).toEqual(open);
  const last = spans.ended.at(-1);
  if (last === undefined) throw new RangeError("there is no last one of no spans");
  return last;
}

/** The places of an application that were passed since `record`, and the id of the span that was active there. */
export const seen: [place: string, spanId: string | undefined][] = [];

export function look(place: string): void {
  seen.push([place, trace.getSpanContext(context.active())?.spanId]);
}

/** The id of the span that was active when this place was passed last. */
export function seenAt(place: string): string | undefined {
  return seen.findLast(([at]) => at === place)?.[1];
}
