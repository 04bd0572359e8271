// For users.

export { assembleTraces, type SpansOrTraces, type Trace } from "./assemble.js";
export type { Break, SpanMatch } from "./diagnose/finding.js";
export { type DiagnoseOptions, type Diagnosis, diagnose, type Hop } from "./diagnose/index.js";
export type { Verdict, VerdictCode } from "./diagnose/verdicts.js";
export type { Carrier, WireRecord } from "./diagnose/wire.js";
export type {
  InstrumentationScope,
  Span,
  SpanEvent,
  SpanKind,
  SpanLink,
  SpanStatus,
} from "./span.js";
export type { UnbrokenExpectation } from "./unbroken/expectation.js";
export { type Evaluation, evaluateUnbroken } from "./unbroken/index.js";
export { renderWaterfall, type WaterfallOptions } from "./waterfall/index.js";

// For tools that receive OTLP by other means, or that wait for a trace.

export { type Decoded, decodeTraces, type Encoding, OtlpDecodeError } from "./otlp/index.js";
export { servicesOf } from "./unbroken/expectation.js";
export { isFinallyBroken } from "./unbroken/finally-broken.js";
