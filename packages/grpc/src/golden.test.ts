import { Metadata } from "@grpc/grpc-js";
import { propagation, trace } from "@opentelemetry/api";
import { w3cPropagator } from "@traceferry/core";
import { GOLDEN_HEADERS, GOLDEN_SENDER } from "@traceferry/testkit/golden";
import { recordSpans } from "@traceferry/testkit/record";
import { expect, test } from "vitest";
import { extractMetadata } from "./carrier/index.js";

const recordings = GOLDEN_HEADERS.filter(({ transport }) => transport === "grpc");

test.for(recordings)(
  "$library of $peer is continued (sender: $continues)",
  ({ continues, headers }) => {
    using _ = recordSpans({ propagator: w3cPropagator() });
    const metadata = new Metadata();
    for (const [key, value] of Object.entries(headers)) metadata.set(key, value);
    const extracted = extractMetadata(metadata);

    const [, traceId, spanId, flags = ""] = headers.traceparent?.split("-") ?? [];
    expect(trace.getSpanContext(extracted)).toMatchObject({
      traceId,
      spanId,
      traceFlags: Number.parseInt(flags, 16),
      isRemote: true,
    });
    expect(GOLDEN_SENDER.traceparent.includes(traceId ?? "")).toBe(continues);
    expect(trace.getSpanContext(extracted)?.traceState?.serialize()).toBe(headers.tracestate);
    expect(propagation.getBaggage(extracted)?.getEntry("tenant")?.value).toBe(
      continues ? "acme" : undefined,
    );
  },
);
