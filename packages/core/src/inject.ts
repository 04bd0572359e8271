import type { Context, TextMapPropagator, TextMapSetter } from "@opentelemetry/api";
import { encodeUnprintable } from "./carrier.js";
import { filterBaggage } from "./filter-baggage.js";
import { trimBlanks } from "./w3c/tracestate.js";

/** The fields to put into one outgoing message. */
export interface Injection {
  /** Lower-case name to printable ASCII value, without blanks around it: one value for each name. */
  readonly fields: ReadonlyMap<string, string>;
  /** Lower-case names of all that the propagator may ever write: what an earlier trace left under these must go. */
  readonly stale: readonly string[];
  /** Whether the byte budget cost the baggage or the tracestate something. */
  readonly trimmed: boolean;
}

/**
 * Asks the propagator what to send for a context, within a budget of bytes. Gives `undefined` where there is
 * nothing to send: then what the caller put into the message stays.
 *
 * @throws what a foreign propagator throws.
 */
export function inject(
  propagator: TextMapPropagator,
  context: Context,
  baggage: boolean | readonly string[],
  maxBytes: number,
): Injection | undefined {
  const fields = new Map<string, string>();
  propagator.inject(filterBaggage(context, baggage), fields, PRINTABLE_SETTER);
  if (fields.size === 0) return undefined;
  const stale = propagator.fields().map((field) => field.toLowerCase());
  return { fields, stale, trimmed: fit(fields, maxBytes) };
}

// Transports throw at a control character and lose a value with blanks around it: grpc-node does both. The
// stock baggage propagator writes such values: it sends properties as the application or a stranger made them.
const PRINTABLE_SETTER: TextMapSetter<Map<string, string>> = {
  set(fields, key, value: unknown) {
    if (typeof value !== "string") return;
    const text = encodeUnprintable(trimBlanks(value, 0, value.length));
    if (text !== "") fields.set(key.toLowerCase(), text);
  },
};

/** Shortens the baggage, then drops it, then the tracestate, until all fields fit. Says whether it did. */
function fit(fields: Map<string, string>, maxBytes: number): boolean {
  let bytes = 0;
  for (const [key, value] of fields) bytes += key.length + value.length;
  if (bytes <= maxBytes) return false;

  const baggage = fields.get("baggage");
  if (baggage !== undefined) {
    const room = maxBytes - (bytes - baggage.length);
    const end = room > 0 ? baggage.lastIndexOf(",", room) : -1;
    if (end > 0) {
      fields.set("baggage", baggage.slice(0, end));
      return true;
    }
    fields.delete("baggage");
    bytes -= "baggage".length + baggage.length;
  }
  if (bytes > maxBytes) fields.delete("tracestate");
  return true;
}
