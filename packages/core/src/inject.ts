import {
  type Context,
  type TextMapPropagator,
  type TextMapSetter,
  trace,
} from "@opentelemetry/api";
import { sanitizeValue } from "./carrier.js";
import { filterBaggage } from "./context.js";
import { characterSet, isMadeOf } from "./w3c/index.js";

/** The fields to put into one outgoing message. */
export interface Injection {
  /** One value for each lower-case name: printable ASCII, without blanks around it. */
  readonly fields: ReadonlyMap<string, string>;
  /**
   * Lower-case names to take out of the message first, because an earlier trace left them: all that the
   * propagator may ever write, or only those of `fields` where the context holds no trace.
   */
  readonly stale: readonly string[];
  /** True when baggage or tracestate was dropped to keep the budget of bytes. */
  readonly trimmed: boolean;
}

/**
 * Asks the propagator for the fields to send for a context, and trims them to a budget of bytes. Returns
 * `undefined` when there is nothing to send: then the fields that the caller put into the message stay.
 *
 * @param baggage - the entries that may be sent: all, none, or those of these names
 * @param maxBytes - the most bytes that names and values may have together; a traceparent is sent in any case
 * @throws what the propagator throws.
 */
export function inject(
  propagator: TextMapPropagator,
  context: Context,
  baggage: boolean | readonly string[],
  maxBytes: number,
): Injection | undefined {
  const fields = new Map<string, string>();
  propagator.inject(filterBaggage(context, baggage), fields, SANITIZING_SETTER);
  if (fields.size === 0) return undefined;
  const stale = staleFields(propagator, context, fields);
  return { fields, stale, trimmed: trimToBudget(fields, maxBytes) };
}

// The SDK's baggage propagator writes properties unencoded, as the application or a stranger made them.
const SANITIZING_SETTER: TextMapSetter<Map<string, string>> = {
  set(fields, key, value: unknown) {
    // Some propagators write field names that an application chose: `ot-baggage-user id`.
    if (typeof value !== "string" || !isMadeOf(FIELD_NAME, key)) return;
    const text = sanitizeValue(value);
    if (text !== "" && key !== "") fields.set(key.toLowerCase(), text);
  },
};
const FIELD_NAME = characterSet(/[0-9A-Za-z_.-]/);

function staleFields(
  propagator: TextMapPropagator,
  context: Context,
  fields: ReadonlyMap<string, string>,
): string[] {
  const injected = [...fields.keys()];
  if (!fields.has("traceparent") && !holdsTrace(context)) return injected;
  const stale = propagator.fields().map((field) => field.toLowerCase());
  for (const field of injected) if (!stale.includes(field)) stale.push(field);
  return stale;
}

function holdsTrace(context: Context): boolean {
  const span = trace.getSpanContext(context);
  return span !== undefined && trace.isSpanContextValid(span);
}

/** Shortens the baggage by whole members, then drops it, then the tracestate, until all fits. True when it did. */
function trimToBudget(fields: Map<string, string>, maxBytes: number): boolean {
  let bytes = 0;
  for (const [key, value] of fields) bytes += key.length + value.length;
  if (bytes <= maxBytes) return false;

  const baggage = fields.get("baggage");
  if (baggage !== undefined) {
    const available = maxBytes - (bytes - baggage.length);
    const end = available > 0 ? baggage.lastIndexOf(",", available) : -1;
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
