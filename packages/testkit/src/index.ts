// For users.

export type {
  Break,
  Carrier,
  DiagnoseOptions,
  Diagnosis,
  Evaluation,
  Hop,
  InstrumentationScope,
  Span,
  SpanEvent,
  SpanKind,
  SpanLink,
  SpanMatch,
  SpanStatus,
  UnbrokenExpectation,
  Verdict,
  VerdictCode,
  WaterfallOptions,
  WireRecord,
} from "@traceferry/traces";
export { diagnose, evaluateUnbroken, renderWaterfall } from "@traceferry/traces";
export {
  type OtlpReceiver,
  type ReceiverOptions,
  type WaitOptions,
  WaitTimeoutError,
} from "@traceferry/traces/receiver";
export { startReceiver } from "./receiver.js";

// For authors of adapters.

export {
  BROKEN_SENDERS,
  type BrokenSender,
  type Headers,
  type Sender,
  type SenderOptions,
  sender,
} from "./senders.js";
