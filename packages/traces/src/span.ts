/** The kind of a span: OTLP's names without their prefix. */
export type SpanKind = "INTERNAL" | "SERVER" | "CLIENT" | "PRODUCER" | "CONSUMER" | "UNSPECIFIED";

/** The status of a span. Instrumentation leaves it "UNSET" on success; "OK" is set by hand. */
export interface SpanStatus {
  readonly code: "UNSET" | "OK" | "ERROR";
  readonly message?: string;
}

/** An event of a span, an exception for example. */
export interface SpanEvent {
  readonly name: string;
  readonly timeNs: bigint;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** A link to a related span that is not the parent. */
export interface SpanLink {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceState: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** OTLP's link flags; undefined when the exporter sent none. */
  readonly flags: number | undefined;
}

/** The instrumentation library that made a span. */
export interface InstrumentationScope {
  readonly name: string;
  readonly version: string | undefined;
}

/**
 * A finished span, whichever language, exporter and encoding it came through. Ids are lower-case hex, times are
 * nanoseconds since the epoch.
 */
export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  /** Undefined for a root. */
  readonly parentSpanId: string | undefined;
  readonly name: string;
  readonly kind: SpanKind;
  /** The resource's `service.name`, "unknown_service" when it has none. */
  readonly service: string;
  /** The resource's `service.instance.id`: two processes of one service differ in it. */
  readonly instance: string | undefined;
  readonly startNs: bigint;
  readonly endNs: bigint;
  /** Values as sent; an integer is a number, or a bigint when a number cannot hold it. */
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: readonly SpanEvent[];
  readonly links: readonly SpanLink[];
  readonly status: SpanStatus;
  /**
   * OTLP's flags: the trace flags in the low 8 bits, 0x100 (the next bit is set on purpose), 0x200 (the parent is
   * remote). Undefined when the exporter sent none, as older ones do.
   */
  readonly flags: number | undefined;
  /** The W3C tracestate, "" when there is none. */
  readonly traceState: string;
  readonly scope: InstrumentationScope;
  /** The resource attributes: of the process that made the span. */
  readonly resource: Readonly<Record<string, unknown>>;
  /** When the receiver got it, in milliseconds since the epoch. */
  readonly receivedAtMs: number;
}

const HAS_IS_REMOTE = 0x100;
const IS_REMOTE = 0x200;

/** True when the parent of the span is in another process; undefined when the exporter did not say. */
export function hasRemoteParent(span: Span): boolean | undefined {
  if (span.flags === undefined || (span.flags & HAS_IS_REMOTE) === 0) return undefined;
  return (span.flags & IS_REMOTE) !== 0;
}

/** True for the kinds with which a service begins its part of a trace: SERVER and CONSUMER. */
export function isEntry(span: Span): boolean {
  return span.kind === "SERVER" || span.kind === "CONSUMER";
}

/** True for the kinds whose context is sent to the next service: CLIENT and PRODUCER. */
export function isExit(span: Span): boolean {
  return span.kind === "CLIENT" || span.kind === "PRODUCER";
}
