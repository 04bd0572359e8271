import type { RecordedSpans } from "@traceferry/testkit/record";
import { expect, vi } from "vitest";

/** Ends when this many spans have ended and none is open; says which are. */
export async function ended(spans: RecordedSpans, count: number, waitMs = 4000): Promise<void> {
  await vi.waitFor(() => {
    expect({ open: spans.open, ended: spans.ended.length }).toEqual({ open: [], ended: count });
  }, waitMs);
}

/** The end of the only span: how it went, and that nothing touched it later. */
export async function ending(spans: RecordedSpans) {
  await ended(spans, 1);
  expect(spans.warnings).toEqual([]);
  return endOf(spans);
}

/** How the first span ended: its status code of gRPC, its status, its type of error. */
export function endOf(spans: RecordedSpans) {
  const [span] = spans.ended;
  return [span?.attributes["rpc.status_code"], span?.status.code, span?.attributes["error.type"]];
}
