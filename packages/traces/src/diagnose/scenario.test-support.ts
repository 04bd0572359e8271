import type { Span } from "../span.js";
import { grpc, type HopTemplate, SpanFactory } from "../span-factory.test-support.js";
import type { Diagnosis } from "./index.js";

/** The call that most tests break. */
export const PLACE_ORDER = grpc("shop.v1.Orders/Place");

/** A gateway that serves one request for 100 ms. */
export function scenario(resource: Readonly<Record<string, unknown>> = {}) {
  const spanFactory = new SpanFactory();
  const gateway = spanFactory.root({
    service: "gateway",
    kind: "SERVER",
    name: "POST /",
    ms: 100,
    resource,
  });
  return { spanFactory, gateway };
}

/** The hop with the attributes that Traceferry's adapters write on an entry span without a sender. */
export function withExtraction(
  { exit, entry }: HopTemplate,
  extraction: string,
  reason?: string,
): HopTemplate {
  const attributes = {
    ...entry.attributes,
    "traceferry.extraction": extraction,
    ...(reason && { "traceferry.extraction.reason": reason }),
  };
  return { exit, entry: { ...entry, attributes } };
}

/** A link to the span, as another process makes it. */
export function linkTo({ traceId, spanId }: Span): Span["links"][number] {
  return { traceId, spanId, traceState: "", attributes: {}, flags: 0x301 };
}

/** The traceparent that the span's process sends. */
export function traceparentOf({ traceId, spanId }: Span): string {
  return `00-${traceId}-${spanId}-01`;
}

/** The breaks, one line each: verdict, services, transport and destination. */
export function breaksOf({ breaks }: Diagnosis): string[] {
  return breaks.map(({ verdict, from, to, via }) => `${verdict.code} ${from} → ${to}, ${via}`);
}
