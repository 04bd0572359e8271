import { type BaggageEntry, type Context, propagation } from "@opentelemetry/api";

/** The context with all of its baggage, with none, or with the entries of these names. */
export function filterBaggage(context: Context, allowed: boolean | readonly string[]): Context {
  if (allowed === true) return context;
  const baggage = propagation.getBaggage(context);
  if (baggage === undefined) return context;
  // Through a Map, which keeps a name such as `__proto__`.
  const kept = new Map<string, BaggageEntry>();
  if (allowed !== false) {
    for (const name of allowed) {
      const entry = baggage.getEntry(name);
      if (entry !== undefined) kept.set(name, entry);
    }
  }
  return kept.size === 0
    ? propagation.deleteBaggage(context)
    : propagation.setBaggage(context, propagation.createBaggage(Object.fromEntries(kept)));
}
