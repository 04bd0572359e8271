import { createHash } from "node:crypto";

type Value = string | number | readonly string[];
type Attributes = Readonly<Record<string, Value>>;

/** A span to send, as somebody's exporter would. What is left out has a plain value. */
export interface SyntheticSpan {
  /** Any text; the same text is the same trace, in every run. */
  readonly trace: string;
  /** Tells the trace's spans apart. */
  readonly span?: string;
  /** The parent's `span`; without it this is the root. */
  readonly parent?: string;
  readonly name?: string;
  readonly durationMs?: number;
  readonly attributes?: Attributes;
  readonly resource?: Attributes;
  readonly event?: Attributes;
  readonly error?: string;
}

/** The id of the trace that a text names. Not random, so that what a sampler decides is the same in every run. */
export function traceIdOf(trace: string): string {
  return createHash("sha256").update(trace).digest("hex").slice(0, 32);
}

/** Sends the spans by OTLP over HTTP, some hundreds at a time. */
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
