import type { RecordedSpans } from "@traceferry/testkit/record";
import { expect, vi } from "vitest";

/** Waits until this many spans have ended and none is open; the error names those that are. */
export async function waitForEnded(
  spans: RecordedSpans,
  count: number,
  waitMs = 4000,
): Promise<void> {
  await vi.waitFor(() => {
    expect({ open: spans.open, ended: spans.ended.length }).toEqual({ open: [], ended: count });
  }, waitMs);
}

/** Waits for the end of the only span, without a warning, and returns it as `firstSpanEnd` does. */
export async function onlySpanEnd(spans: RecordedSpans) {
  await waitForEnded(spans, 1);
  expect(spans.warnings).toEqual([]);
  return firstSpanEnd(spans);
}

/** Returns how the first span ended: its gRPC status, its span status, its error type. */
export function firstSpanEnd(spans: RecordedSpans) {
  const [span] = spans.ended;
  return [span?.attributes["rpc.status_code"], span?.status.code, span?.attributes["error.type"]];
}
