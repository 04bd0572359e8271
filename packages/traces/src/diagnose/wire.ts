import type { VerdictCode } from "./verdicts.js";

/** The headers of one message: values may be text, bytes, or lists of these. */
export type Carrier = Readonly<Record<string, unknown>>;

/**
 * The headers of one message between two services, as a proxy or a recording client saw them. They tell causes apart
 * that look alike in the spans.
 */
export interface WireRecord {
  /** The headers as the caller sent them; absent when they were not recorded. */
  readonly sent?: Carrier;
  /** The headers as the callee got them; absent when they were not recorded. */
  readonly arrived?: Carrier;
  /** The calling service. Needed where `sent` may have no traceparent, which would name the caller's span. */
  readonly from?: string;
  /** The called service. */
  readonly to?: string;
}

/** The cause that a wire record shows; `rule` is the grammar rule that the traceparent breaks. */
export interface WireFinding {
  readonly code: VerdictCode;
  readonly rule?: string;
}

/** The id of the caller's span, from the traceparent; undefined without one. */
export function spanIdOf(record: WireRecord): string | undefined {
  for (const carrier of [record.sent, record.arrived]) {
    for (const value of valuesOf(carrier ?? {}, "traceparent")) {
      const match = /^\s*[0-9a-f]{2}-[0-9a-f]{32}-([0-9a-f]{16})-/.exec(textOrEmpty(value));
      if (match !== null) return match[1];
    }
  }
  return undefined;
}

/** True when the message was sent without a traceparent. */
export function leftEmpty(record: WireRecord): boolean {
  return record.sent !== undefined && valuesOf(record.sent, "traceparent").length === 0;
}

/** The cause for a callee that began a new trace; undefined when the record does not show it. */
export function causeOnWire(record: WireRecord): WireFinding | undefined {
  if (leftEmpty(record)) return { code: "NOT_INJECTED" };
  if (record.arrived === undefined) return undefined;
  const values = valuesOf(record.arrived, "traceparent");
  const [value] = values;
  if (values.length === 0) {
    return record.sent === undefined ? undefined : { code: "DROPPED_IN_TRANSIT" };
  }
  if (values.length > 1) return { code: "REJECTED_FORMAT", rule: "repeated" };
  const rule = brokenRule(textOrEmpty(value));
  if (rule !== undefined) return { code: "REJECTED_FORMAT", rule };
  if (!Object.hasOwn(record.arrived, "traceparent")) return { code: "WRONG_KEY_CASE" };
  if (value instanceof Uint8Array) return { code: "BINARY_VALUE" };
  return { code: flagsOf(textOrEmpty(value)) > 2 ? "REJECTED_FLAGS" : "NOT_EXTRACTED" };
}

/** True when the traceparent arrived with the sampled bit off, so that a parent-based sampler records nothing. */
export function arrivedUnsampled(record: WireRecord): boolean {
  const values = valuesOf(record.arrived ?? {}, "traceparent");
  const text = textOrEmpty(values[0]);
  return values.length === 1 && brokenRule(text) === undefined && (flagsOf(text) & 1) === 0;
}

// W3C Trace Context Level 2, "traceparent header field values"; the cap is ours, as in the strict propagator.
function brokenRule(traceparent: string): string | undefined {
  const text = traceparent.replace(/^[ \t]+|[ \t]+$/g, "");
  if (text.length > 512) return "too_long";
  const match = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[ -~]*)?$/.exec(text);
  if (match === null) return "format";
  const [, version, traceId = "", spanId = "", , rest] = match;
  if (version === "ff") return "version";
  if (version === "00" && rest !== undefined) return "format";
  return /^0+$/.test(traceId) || /^0+$/.test(spanId) ? "zero_id" : undefined;
}

function flagsOf(traceparent: string): number {
  return Number.parseInt(traceparent.trim().slice(53, 55), 16);
}

function valuesOf(carrier: Carrier, name: string): unknown[] {
  const values: unknown[] = [];
  for (const [key, value] of Object.entries(carrier)) {
    if (key.toLowerCase() !== name) continue;
    if (Array.isArray(value)) values.push(...value);
    else if (value !== undefined && value !== null) values.push(value);
  }
  return values;
}

function textOrEmpty(value: unknown): string {
  if (typeof value === "string") return value;
  return value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : "";
}
