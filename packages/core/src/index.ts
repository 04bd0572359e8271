// For users.

export type { TracingOptions } from "./options.js";
export type { Relation, RelationOption } from "./relation.js";
export { type W3CPropagatorOptions, w3cPropagator } from "./w3c/propagator.js";

// For adapters.

export { type CarrierReader, SanitizingGetter } from "./carrier.js";
export { withoutSpan } from "./extract.js";
export type { Injection } from "./inject.js";
export { type ExtractionResult, Instrumenter, type InstrumenterSettings } from "./instrumenter.js";
export { Reporter } from "./report.js";
export { ActiveSpan, errorType, type SpanPlan, withSpan } from "./span.js";
export { isTracingSuppressed, suppressTracing } from "./suppress.js";
export { wrongOption } from "./wrong-option.js";
