import type { Span } from "../span.js";
import { Fleet, grpc, type Via } from "../span-factory.test-support.js";
import type { Diagnosis } from "./index.js";

/** A call that most stories are about. */
export const place = grpc("shop.v1.Orders/Place");

/** A gateway that serves one request for 100 ms. */
export function story(resource: Readonly<Record<string, unknown>> = {}) {
  const fleet = new Fleet();
  const gateway = fleet.root({
    service: "gateway",
    kind: "SERVER",
    name: "POST /",
    ms: 100,
    resource,
  });
  return { fleet, gateway };
}

export function told(via: Via, extraction: string, reason?: string): Via {
  const attributes = {
    ...via.entry.attributes,
    "traceferry.extraction": extraction,
    ...(reason && { "traceferry.extraction.reason": reason }),
  };
  return { exit: via.exit, entry: { ...via.entry, attributes } };
}

export function linkTo({ traceId, spanId }: Span): Span["links"][number] {
  return { traceId, spanId, traceState: "", attributes: {}, flags: 0x301 };
}

export function traceparentOf({ traceId, spanId }: Span): string {
  return `00-${traceId}-${spanId}-01`;
}

export function breaksOf({ breaks }: Diagnosis): string[] {
  return breaks.map(({ verdict, from, to, via }) => `${verdict.code} ${from} → ${to}, ${via}`);
}
