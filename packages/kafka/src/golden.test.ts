import { propagation, trace } from "@opentelemetry/api";
import { w3cPropagator } from "@traceferry/core";
import { GOLDEN_HEADERS, GOLDEN_SENDER } from "@traceferry/testkit/golden";
import { recordSpans } from "@traceferry/testkit/record";
import { expect, test } from "vitest";
import { extractHeaders } from "./index.js";

const KAFKA_HEADERS = GOLDEN_HEADERS.filter(({ transport }) => transport === "kafka");

test.for(KAFKA_HEADERS)(
  "$library of $peer is continued (sender: $continues)",
  ({ continues, headers }) => {
    using _ = recordSpans({ propagator: w3cPropagator() });
    // kafkajs delivers values as bytes.
    const bytes = Object.fromEntries(
      Object.entries(headers).map(([key, value]) => [key, Buffer.from(value)]),
    );
    const read = extractHeaders(bytes);

    const [, traceId, spanId, flags = ""] = headers.traceparent?.split("-") ?? [];
    expect(trace.getSpanContext(read)).toMatchObject({
      traceId,
      spanId,
      traceFlags: Number.parseInt(flags, 16),
      isRemote: true,
    });
    expect(GOLDEN_SENDER.traceparent.includes(traceId ?? "")).toBe(continues);
    expect(trace.getSpanContext(read)?.traceState?.serialize()).toBe(headers.tracestate);
    expect(propagation.getBaggage(read)?.getEntry("tenant")?.value).toBe(
      continues ? "acme" : undefined,
    );
  },
);
