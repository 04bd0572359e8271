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

/** Why an extraction gave less than there was, or the sender was not continued. Few: a metric attribute. */
type ExtractionReason =
  | InvalidTraceparentReason
  | "tracestate_invalid"
  | "untrusted"
  | "no_propagator"
  | "failed";

/** What the headers of one message say about its sender. */
export interface ExtractedContext {
  /** The base with the sender's span context and baggage in it, as far as they are valid. */
  readonly context: Context;
  /** The sender's span, when there is a valid one. */
  readonly remoteParent: SpanContext | undefined;
  /** Whether there was no sender at all, or one that could not be read. */
  readonly status: "valid" | "missing" | "invalid";
  readonly reason?: ExtractionReason;
}

/**
 * Reads the sender out of a carrier, through hygiene. The base must hold no span, lest a broken header make
 * the message a child of whatever was active: see `withoutSpan`.
 *
 * @throws what a foreign propagator throws.
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
  // Propagators that set something where they found nothing set zeros.
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

// Only asked when there is no sender, so it may look twice.
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
  // Fields of another format, B3 for one: there, and yet no sender came out.
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

// They say nothing about whether a sender was there.
const OTHER_W3C_FIELDS: ReadonlySet<string> = new Set(["tracestate", "baggage"]);
