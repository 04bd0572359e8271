import type { InstrumentationScope, Span, SpanKind, SpanStatus } from "../span.js";

/** The bytes are not an OTLP trace request. The only error of decoding; `cause` is the parser's own error. */
export class OtlpDecodeError extends Error {
  override readonly name = "OtlpDecodeError";
}

/** The fields of a span as they are decoded, not validated yet. Both encodings fill the same fields. */
export interface SpanBuilder {
  traceId: string;
  spanId: string;
  parentSpanId: string;
  traceState: string;
  name: string;
  kind: number;
  startNs: bigint;
  endNs: bigint;
  /** Pairs, so that the last of two equal keys wins and "__proto__" is an ordinary key. */
  attributes: [string, unknown][];
  events: EventBuilder[];
  links: LinkBuilder[];
  statusCode: number;
  statusMessage: string;
  flags: number | undefined;
}

/** The fields of a span event as they are decoded. */
export interface EventBuilder {
  timeNs: bigint;
  name: string;
  attributes: [string, unknown][];
}

/** The fields of a span link as they are decoded. */
export interface LinkBuilder {
  traceId: string;
  spanId: string;
  traceState: string;
  attributes: [string, unknown][];
  flags: number | undefined;
}

/** The spans of one request. A span with a malformed id is left out and counted; the others are kept. */
export interface Decoded {
  readonly spans: readonly Span[];
  /** The number of spans that were left out. */
  readonly rejected: number;
  /** Why the first of them was left out; "" when none was. */
  readonly reason: string;
}

/** A span with OTLP's default for every field. */
export function newSpanBuilder(): SpanBuilder {
  return {
    traceId: "",
    spanId: "",
    parentSpanId: "",
    traceState: "",
    name: "",
    kind: 0,
    startNs: 0n,
    endNs: 0n,
    attributes: [],
    events: [],
    links: [],
    statusCode: 0,
    statusMessage: "",
    flags: undefined,
  };
}

/** An event with OTLP's default for every field. */
export function newEventBuilder(): EventBuilder {
  return { timeNs: 0n, name: "", attributes: [] };
}

/** A link with OTLP's default for every field. */
export function newLinkBuilder(): LinkBuilder {
  return { traceId: "", spanId: "", traceState: "", attributes: [], flags: undefined };
}

/** By OTLP's numbers. */
const SPAN_KINDS: readonly SpanKind[] = [
  "UNSPECIFIED",
  "INTERNAL",
  "SERVER",
  "CLIENT",
  "PRODUCER",
  "CONSUMER",
];

const STATUS_CODES: readonly SpanStatus["code"][] = ["UNSET", "OK", "ERROR"];

/** Converts an integer attribute to a number, or leaves it a bigint when a number cannot hold it. */
export function integerValue(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** Collects the spans of one request, resource by resource and scope by scope. */
export class SpanCollector {
  readonly #receivedAtMs: number;
  readonly #spans: Span[] = [];
  #rejected = 0;
  #reason = "";

  constructor(receivedAtMs: number) {
    this.#receivedAtMs = receivedAtMs;
  }

  /** Adds a span when its ids are valid, otherwise counts it as rejected. */
  add(
    builder: SpanBuilder,
    scope: InstrumentationScope,
    resource: Readonly<Record<string, unknown>>,
  ): void {
    const invalidReason = invalidReasonOf(builder);
    if (invalidReason !== undefined) {
      this.#rejected += 1;
      if (this.#reason === "") this.#reason = invalidReason;
      return;
    }
    const instance = resource["service.instance.id"];
    this.#spans.push({
      traceId: builder.traceId,
      spanId: builder.spanId,
      parentSpanId: isZero(builder.parentSpanId) ? undefined : builder.parentSpanId,
      name: builder.name,
      kind: SPAN_KINDS[builder.kind] ?? "UNSPECIFIED",
      service: serviceOf(resource),
      instance: typeof instance === "string" ? instance : undefined,
      startNs: builder.startNs,
      endNs: builder.endNs,
      attributes: Object.fromEntries(builder.attributes),
      events: builder.events.map((event) => ({
        ...event,
        attributes: Object.fromEntries(event.attributes),
      })),
      links: builder.links.map((link) => ({
        ...link,
        attributes: Object.fromEntries(link.attributes),
      })),
      status: statusOf(builder),
      flags: builder.flags,
      traceState: builder.traceState,
      scope,
      resource,
      receivedAtMs: this.#receivedAtMs,
    });
  }

  /** The result for the whole request. */
  finish(): Decoded {
    return { spans: this.#spans, rejected: this.#rejected, reason: this.#reason };
  }
}

function serviceOf(resource: Readonly<Record<string, unknown>>): string {
  const name = resource["service.name"];
  return typeof name === "string" && name !== "" ? name : "unknown_service";
}

function statusOf(builder: SpanBuilder): SpanStatus {
  const code = STATUS_CODES[builder.statusCode] ?? "UNSET";
  return builder.statusMessage === "" ? { code } : { code, message: builder.statusMessage };
}

function invalidReasonOf(builder: SpanBuilder): string | undefined {
  if (!/^[0-9a-f]{32}$/.test(builder.traceId) || isZero(builder.traceId)) {
    return `trace id "${cutEnd(builder.traceId)}" of span "${cutEnd(builder.name)}" is not 16 bytes, not all zero`;
  }
  if (!/^[0-9a-f]{16}$/.test(builder.spanId) || isZero(builder.spanId)) {
    return `span id "${cutEnd(builder.spanId)}" of span "${cutEnd(builder.name)}" is not 8 bytes, not all zero`;
  }
  if (!/^([0-9a-f]{16})?$/.test(builder.parentSpanId)) {
    return `parent span id "${cutEnd(builder.parentSpanId)}" of span "${cutEnd(builder.name)}" is not 8 bytes`;
  }
  return undefined;
}

function isZero(id: string): boolean {
  return /^0*$/.test(id);
}

function cutEnd(text: string): string {
  return text.length > 64 ? `${text.slice(0, 64)}…` : text;
}
