import { type Context, createContextKey, propagation, trace } from "@opentelemetry/api";

/** Returns the context without its span and its baggage: the base for extracting a message that just came in. */
export function withoutSpan(context: Context): Context {
  const spanless = trace.getSpan(context) === undefined ? context : trace.deleteSpan(context);
  return propagation.getBaggage(spanless) === undefined
    ? spanless
    : propagation.deleteBaggage(spanless);
}

/** Keeps all the baggage of a context (`true`), none (`false`), or the entries of these names, in their order. */
export function filterBaggage(context: Context, allowed: boolean | readonly string[]): Context {
  if (allowed === true) return context;
  const baggage = propagation.getBaggage(context);
  if (baggage === undefined) return context;
  if (allowed === false) return propagation.deleteBaggage(context);
  const entries = baggage.getAllEntries();
  const removed = entries.map(([name]) => name).filter((name) => !allowed.includes(name));
  if (removed.length === 0) return context;
  return removed.length === entries.length
    ? propagation.deleteBaggage(context)
    : propagation.setBaggage(context, baggage.removeEntries(...removed));
}

// The key of SDK 2 and 3. Context keys are `Symbol.for(description)`, so the SDK need not be imported.
const SUPPRESS_TRACING_KEY = createContextKey("OpenTelemetry SDK Context Key SUPPRESS_TRACING");

/** True when tracing is suppressed in this context, as exporters do around their own calls. */
export function isTracingSuppressed(context: Context): boolean {
  return context.getValue(SUPPRESS_TRACING_KEY) === true;
}

/** Returns a context in which nothing is traced and nothing injected. */
export function suppressTracing(context: Context): Context {
  return context.setValue(SUPPRESS_TRACING_KEY, true);
}
