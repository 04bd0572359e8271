import { type Context, propagation } from "@opentelemetry/api";

/** The context with all of its baggage, with none, or with the entries of these names, in their order. */
export function filterBaggage(context: Context, allowed: boolean | readonly string[]): Context {
  if (allowed === true) return context;
  const baggage = propagation.getBaggage(context);
  if (baggage === undefined) return context;
  if (allowed === false) return propagation.deleteBaggage(context);
  const entries = baggage.getAllEntries();
  const others = entries.map(([name]) => name).filter((name) => !allowed.includes(name));
  if (others.length === 0) return context;
  return others.length === entries.length
    ? propagation.deleteBaggage(context)
    : propagation.setBaggage(context, baggage.removeEntries(...others));
}
