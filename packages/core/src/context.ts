import { type Context, createContextKey, propagation, trace } from "@opentelemetry/api";

/** The context without its span and its baggage: what a message that just arrived starts from. */
export function withoutSpan(context: Context): Context {
  const spanless = trace.getSpan(context) === undefined ? context : trace.deleteSpan(context);
  return propagation.getBaggage(spanless) === undefined
    ? spanless
    : propagation.deleteBaggage(spanless);
}

/** The context with all of its baggage, with none, or with the entries of these names, in their order. */
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

// The SDK's own key, of both lines: keys are `Symbol.for(description)`, so nobody has to import the SDK.
const SUPPRESS_TRACING_KEY = createContextKey("OpenTelemetry SDK Context Key SUPPRESS_TRACING");

/** Whether somebody, an exporter for one, asked that nothing in this context be traced. */
export function isTracingSuppressed(context: Context): boolean {
  return context.getValue(SUPPRESS_TRACING_KEY) === true;
}

/** The context in which nothing is traced and nothing injected. */
export function suppressTracing(context: Context): Context {
  return context.setValue(SUPPRESS_TRACING_KEY, true);
}
