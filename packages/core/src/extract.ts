import {
  type Context,
  INVALID_TRACEID,
  type SpanContext,
  type TextMapPropagator,
  trace,
} from "@opentelemetry/api";
import type { SanitizingGetter } from "./carrier.js";
import {
  headerText,
  type InvalidTraceparentReason,
  isRepeated,
  parseTraceparent,
} from "./w3c/index.js";

/** Why the sender was lost, was read only in part, or is not continued. Of low cardinality: a metric attribute. */
type ExtractionReason =
  | InvalidTraceparentReason
  | "tracestate_invalid"
  | "untrusted"
  | "no_propagator"
  | "failed";

/** The sender of one message, as read from its headers. */
export interface ExtractedContext {
  /** The base context with the sender's span context and baggage, as far as they are valid. */
  readonly context: Context;
  /** The sender's span context, when it is valid. */
  readonly remoteParent: SpanContext | undefined;
  /** `"missing"` when the headers name no sender, `"invalid"` when they do and it could not be read. */
  readonly status: "valid" | "missing" | "invalid";
  /** Why it is missing or invalid, or what of it was lost. */
  readonly reason?: ExtractionReason;
}

/**
 * Extracts the sender from a carrier. The base must hold no span (see `withoutSpan`), or a broken header would
 * make the message a child of whatever was active.
 *
 * @throws what the propagator throws.
 */
export function extract<Carrier>(
  propagator: TextMapPropagator,
  carrier: Carrier,
  getter: SanitizingGetter<Carrier>,
  base: Context,
): ExtractedContext {
  getter.sawTracestate = false;
  const context = propagator.extract(base, carrier, getter);
  const remoteParent = trace.getSpanContext(context);
  // Some propagators set an all-zero span context where they found no sender.
  if (remoteParent !== undefined && remoteParent.traceId !== INVALID_TRACEID) {
    const lost = getter.sawTracestate && remoteParent.traceState === undefined;
    return lost
      ? { context, remoteParent, status: "valid", reason: "tracestate_invalid" }
      : { context, remoteParent, status: "valid" };
  }
  const reason = invalidReason(propagator, carrier, getter);
  if (reason === undefined) return { context, remoteParent: undefined, status: "missing" };
  const status = reason === "no_propagator" ? "missing" : "invalid";
  return { context, remoteParent: undefined, status, reason };
}

// Called only when no sender was found, so reading the headers again costs the good path nothing.
function invalidReason<Carrier>(
  propagator: TextMapPropagator,
  carrier: Carrier,
  getter: SanitizingGetter<Carrier>,
): ExtractionReason | undefined {
  const fields = propagator.fields();
  if (fields.length === 0) {
    return headerText(getter.raw(carrier, "traceparent")) ? "no_propagator" : undefined;
  }
  if (fields.includes("traceparent")) {
    const reason = invalidTraceparentReason(getter.raw(carrier, "traceparent"));
    if (reason !== undefined) return reason;
  }
  // A field of another format, such as B3, was sent, and no sender came out of it.
  const hasOther = fields.some(
    (field) => !OTHER_W3C_FIELDS.has(field) && (getter.get(carrier, field) ?? "") !== "",
  );
  return hasOther ? "format" : undefined;
}

function invalidTraceparentReason(value: unknown): InvalidTraceparentReason | undefined {
  if (isRepeated(value)) return "repeated";
  const text = headerText(value);
  if (text === undefined || text === "") return undefined;
  const parsed = parseTraceparent(text);
  // A propagator that is stricter than ours refused it.
  return typeof parsed === "string" ? parsed : "format";
}

// Their presence does not mean that a sender was there.
const OTHER_W3C_FIELDS: ReadonlySet<string> = new Set(["tracestate", "baggage"]);
