import { RECORDED, SENDER } from "./recorded.js";

/** The headers that a peer in another language was sent, to be propagated. */
export interface GoldenSender {
  readonly traceparent: string;
  readonly tracestate: string;
  readonly baggage: string;
}

/** The headers that a peer in another language wrote on one transport, recorded from it as it ran. */
export interface GoldenHeaders {
  readonly peer: "go" | "python" | "java";
  /** The instrumentation library of that language. */
  readonly library: string;
  readonly transport: "grpc" | "kafka" | "http";
  /** True when it continued `GOLDEN_SENDER`, false when it began a trace because it was sent no context. */
  readonly continues: boolean;
  /** The propagation fields, each key and value as it was written. */
  readonly headers: Readonly<Record<string, string>>;
}

/** The sender of the recordings that continue one. */
export const GOLDEN_SENDER: GoldenSender = SENDER;

/**
 * The headers that the OpenTelemetry libraries of Go, Python and Java write. An adapter's tests read them in place of a
 * message of such a program.
 */
export const GOLDEN_HEADERS: readonly GoldenHeaders[] = RECORDED;
