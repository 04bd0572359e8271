// For users.

export type { Relation, RelationOption, TracingOptions } from "./options.js";
export { type W3CPropagatorOptions, w3cPropagator } from "./w3c/index.js";

// For adapters.

export { type CarrierReader, SanitizingGetter } from "./carrier.js";
export { isTracingSuppressed, suppressTracing, withoutSpan } from "./context.js";
export type { Injection } from "./inject.js";
export { type ExtractionResult, Instrumenter, type InstrumenterSettings } from "./instrumenter.js";
export { wrongOption } from "./options.js";
export type { Reporter } from "./report.js";
export { type ActiveSpan, errorType, type SpanPlan, withSpan } from "./span.js";
