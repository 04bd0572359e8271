import { type Context, createContextKey } from "@opentelemetry/api";

// The SDK's own key, of both lines: keys are `Symbol.for(description)`, so nobody has to import the SDK.
const SUPPRESS = createContextKey("OpenTelemetry SDK Context Key SUPPRESS_TRACING");

/** Whether somebody, an exporter for one, asked that nothing in this context be traced. */
export function isTracingSuppressed(context: Context): boolean {
  return context.getValue(SUPPRESS) === true;
}

/** The context in which nothing is traced and nothing injected. */
export function suppressTracing(context: Context): Context {
  return context.setValue(SUPPRESS, true);
}
