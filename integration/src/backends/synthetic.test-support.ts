import { createHash } from "node:crypto";

type Value = string | number | readonly string[];
type Attributes = Readonly<Record<string, Value>>;

/** A span to send. All fields but `trace` have defaults. */
export interface SyntheticSpan {
  /** A text that stands for the trace. The trace id is derived from it. */
  readonly trace: string;
  /** A text that stands for the span. Default: "root". */
  readonly span?: string;
  /** The `span` of the parent. Without it this is the root. */
  readonly parent?: string;
  readonly name?: string;
  readonly durationMs?: number;
  readonly attributes?: Attributes;
  readonly resource?: Attributes;
  readonly event?: Attributes;
  readonly error?: string;
}

/** The trace id for a text. It is not random, so that samplers decide the same in every run. */
export function traceIdOf(trace: string): string {
  return createHash("sha256").update(trace).digest("hex").slice(0, 32);
}

/** Sends the spans by OTLP over HTTP, 500 at a time. */
export async function sendSpans(otlpUrl: string, spans: readonly SyntheticSpan[]): Promise<void> {
  for (let start = 0; start < spans.length; start += 500) {
    const body = { resourceSpans: spans.slice(start, start + 500).map(resourceSpanFrom) };
    const response = await fetch(`${otlpUrl}/v1/traces`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`the collector answers ${response.status}: ${text}`);
  }
}

function resourceSpanFrom(span: SyntheticSpan): unknown {
  const { trace, span: self = "root", parent, name = "GET /orders", durationMs = 20 } = span;
  const { error, event, attributes = {}, resource = {} } = span;
  const end = Date.now();
  return {
    resource: { attributes: keyValues({ "service.name": "shop", ...resource }) },
    scopeSpans: [
      {
        scope: { name: "synthetic" },
        spans: [
          {
            traceId: traceIdOf(trace),
            spanId: spanIdOf(trace, self),
            ...(parent !== undefined && { parentSpanId: spanIdOf(trace, parent) }),
            name,
            kind: parent === undefined ? 2 : 1,
            startTimeUnixNano: nanos(end - durationMs),
            endTimeUnixNano: nanos(end),
            attributes: keyValues(attributes),
            ...(event && {
              events: [{ timeUnixNano: nanos(end), name: "event", attributes: keyValues(event) }],
            }),
            ...(error !== undefined && { status: { code: 2, message: error } }),
          },
        ],
      },
    ],
  };
}

function spanIdOf(trace: string, span: string): string {
  return createHash("sha256").update(`${trace}/${span}`).digest("hex").slice(0, 16);
}

function nanos(ms: number): string {
  return `${ms}000000`;
}

function keyValues(attributes: Attributes): unknown[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: anyValue(value) }));
}

function anyValue(value: Value): unknown {
  if (typeof value === "number") return { intValue: String(value) };
  if (typeof value === "string") return { stringValue: value };
  return { arrayValue: { values: value.map((stringValue) => ({ stringValue })) } };
}
