import type { Span, SpanKind } from "./span.js";

/** The fields of a test span; the rest follows from its parent. */
export interface SpanOptions {
  readonly name?: string;
  readonly kind?: SpanKind;
  readonly service?: string;
  readonly instance?: string;
  readonly attributes?: Readonly<Record<string, unknown>>;
  readonly resource?: Readonly<Record<string, unknown>>;
  readonly links?: Span["links"];
  readonly scope?: string;
  readonly flags?: number | undefined;
  readonly status?: Span["status"];
  /** Start, in milliseconds after `BASE_TIME_NS`. Default: one after the parent's. */
  readonly at?: number;
  /** Duration in milliseconds. Default: 10. */
  readonly ms?: number;
}

/** The start of every test: 2026-01-01T00:00:00Z. */
const BASE_TIME_NS = 1_767_225_600_000_000_000n;

/** Makes the spans of several services, with ids that count up, so that snapshots of them stay the same. */
export class SpanFactory {
  readonly spans: Span[] = [];
  #ids = 0;
  #traces = 0;

  /** Makes the root of a new trace. */
  root(options: SpanOptions): Span {
    this.#traces += 1;
    return this.#add(this.#traces.toString(16).padStart(32, "0"), undefined, options);
  }

  /** Makes a child of `parent`, by default in the same service. */
  child(parent: Span, options: SpanOptions): Span {
    return this.#add(parent.traceId, parent, options);
  }

  /** Makes a call or message: its exit span, and the entry span that continues it. */
  hop(
    parent: Span,
    service: string,
    { exit, entry }: HopTemplate,
    options: SpanOptions = {},
  ): [Span, Span] {
    const exitSpan = this.child(parent, exit);
    return [exitSpan, this.child(exitSpan, { service, ...entry, ...options })];
  }

  /** Makes a call or message whose callee begins a new trace. */
  lostHop(
    parent: Span,
    service: string,
    { exit, entry }: HopTemplate,
    options: SpanOptions = {},
  ): [Span, Span] {
    const exitSpan = this.child(parent, exit);
    const at = options.at ?? startMsOf(exitSpan) + 1;
    return [exitSpan, this.root({ service, ...entry, ...options, at })];
  }

  #add(traceId: string, parent: Span | undefined, options: SpanOptions): Span {
    this.#ids += 1;
    const service = options.service ?? parent?.service ?? "alone";
    const instance = options.instance ?? `${service}-1`;
    const isRemote = parent !== undefined && parent.instance !== instance;
    const flags = isRemote ? 0x301 : 0x101;
    const at = options.at ?? (parent === undefined ? 0 : startMsOf(parent) + 1);
    const startNs = BASE_TIME_NS + BigInt(Math.round(at * 1e6));
    const span: Span = {
      traceId,
      spanId: this.#ids.toString(16).padStart(16, "0"),
      parentSpanId: parent?.spanId,
      name: options.name ?? "work",
      kind: options.kind ?? "INTERNAL",
      service,
      instance,
      startNs,
      endNs: startNs + BigInt(Math.round((options.ms ?? 10) * 1e6)),
      attributes: options.attributes ?? {},
      events: [],
      links: options.links ?? [],
      status: options.status ?? { code: "UNSET" },
      flags: "flags" in options ? options.flags : flags,
      traceState: "",
      scope: { name: options.scope ?? "test-scope", version: undefined },
      resource: { "service.name": service, ...options.resource },
      receivedAtMs: 0,
    };
    this.spans.push(span);
    return span;
  }
}

/** The fields of the two spans of a hop. */
export interface HopTemplate {
  readonly exit: SpanOptions;
  readonly entry: SpanOptions;
}

/** The spans of a gRPC call, by the stable semantic conventions. */
export function grpc(method: string): HopTemplate {
  const attributes = { "rpc.system.name": "grpc", "rpc.method": method };
  return {
    exit: { name: method, kind: "CLIENT", attributes },
    entry: { name: method, kind: "SERVER", attributes },
  };
}

/** The spans of a Kafka record, with its partition and offset when given. */
export function kafka(
  topic: string,
  position?: { partition: number; offset: number },
): HopTemplate {
  const attributes = {
    "messaging.system.name": "kafka",
    "messaging.destination.name": topic,
    ...(position && {
      "messaging.destination.partition.id": String(position.partition),
      "kafka.offset": position.offset,
    }),
  };
  return message(topic, attributes);
}

/** The spans of a BullMQ job. */
export function bullmq(queue: string, id?: string): HopTemplate {
  return message(queue, {
    "messaging.system.name": "bullmq",
    "messaging.destination.name": queue,
    ...(id !== undefined && { "messaging.message.id": id }),
  });
}

/** The spans of an HTTP request. */
export function http(method: string, path: string): HopTemplate {
  const shared = {
    "http.request.method": method,
    "server.address": "localhost",
    "server.port": 80,
  };
  return {
    exit: {
      name: method,
      kind: "CLIENT",
      attributes: { ...shared, "url.full": `http://localhost:80${path}` },
    },
    entry: {
      name: `${method} ${path}`,
      kind: "SERVER",
      attributes: { ...shared, "url.path": path, "http.route": path },
    },
  };
}

function message(destination: string, attributes: Readonly<Record<string, unknown>>): HopTemplate {
  return {
    exit: {
      name: `send ${destination}`,
      kind: "PRODUCER",
      attributes: { ...attributes, "messaging.operation.type": "send" },
    },
    entry: {
      name: `process ${destination}`,
      kind: "CONSUMER",
      attributes: { ...attributes, "messaging.operation.type": "process" },
    },
  };
}

function startMsOf(span: Span): number {
  return Number(span.startNs - BASE_TIME_NS) / 1e6;
}

/** Exports spans to a receiver as OTLP in JSON, in one request. */
export async function exportTo(url: string, ...spans: readonly Span[]): Promise<void> {
  const kinds = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
  const attributes = (record: Readonly<Record<string, unknown>>) =>
    Object.entries(record).map(([key, value]) => ({ key, value: { stringValue: String(value) } }));
  const resourceSpans = spans.map((span) => ({
    resource: { attributes: attributes(span.resource) },
    scopeSpans: [
      {
        spans: [
          {
            traceId: span.traceId,
            spanId: span.spanId,
            parentSpanId: span.parentSpanId,
            name: span.name,
            kind: kinds.indexOf(span.kind),
            flags: span.flags,
            startTimeUnixNano: String(span.startNs),
            endTimeUnixNano: String(span.endNs),
            attributes: attributes(span.attributes),
          },
        ],
      },
    ],
  }));
  const response = await fetch(`${url}/v1/traces`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ resourceSpans }),
  });
  if (!response.ok) throw new Error(`the receiver answered ${response.status}`);
}

/** The options of a test that takes seconds on a busy machine. */
export const SLOW_TEST = { timeout: 60_000 };
