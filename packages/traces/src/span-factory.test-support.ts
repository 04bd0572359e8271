import type { Span, SpanKind } from "./span.js";

/** What a made-up span shall be; the rest follows from its parent. */
export interface SpanWish {
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
  /** Milliseconds after the beginning of the story. Default: one after the parent. */
  readonly at?: number;
  readonly ms?: number;
}

/** The beginning of every made-up story: 2026-01-01T00:00:00Z. */
const beginNs = 1_767_225_600_000_000_000n;

/** Makes up the spans of a fleet of services, with ids that count up, so that pictures of them stay the same. */
export class Fleet {
  readonly spans: Span[] = [];
  #ids = 0;
  #traces = 0;

  /** Begins a trace. */
  root(wish: SpanWish): Span {
    this.#traces += 1;
    return this.#add(this.#traces.toString(16).padStart(32, "0"), undefined, wish);
  }

  /** Continues a trace; in another service unless the wish says nothing of one. */
  child(parent: Span, wish: SpanWish): Span {
    return this.#add(parent.traceId, parent, wish);
  }

  /** A call or message and what answers it: the exit span and the entry span. */
  hop(parent: Span, service: string, via: Via, wish: SpanWish = {}): [Span, Span] {
    const exit = this.child(parent, via.exit);
    return [exit, this.child(exit, { service, ...via.entry, ...wish })];
  }

  /** The same, but the callee begins a new trace. */
  lostHop(parent: Span, service: string, via: Via, wish: SpanWish = {}): [Span, Span] {
    const exit = this.child(parent, via.exit);
    const at = wish.at ?? millisecondsOf(exit) + 1;
    return [exit, this.root({ service, ...via.entry, ...wish, at })];
  }

  #add(traceId: string, parent: Span | undefined, wish: SpanWish): Span {
    this.#ids += 1;
    const service = wish.service ?? parent?.service ?? "alone";
    const instance = wish.instance ?? `${service}-1`;
    const remote = parent !== undefined && parent.instance !== instance;
    const at = wish.at ?? (parent === undefined ? 0 : millisecondsOf(parent) + 1);
    const startNs = beginNs + BigInt(Math.round(at * 1e6));
    const span: Span = {
      traceId,
      spanId: this.#ids.toString(16).padStart(16, "0"),
      parentSpanId: parent?.spanId,
      name: wish.name ?? "work",
      kind: wish.kind ?? "INTERNAL",
      service,
      instance,
      startNs,
      endNs: startNs + BigInt(Math.round((wish.ms ?? 10) * 1e6)),
      attributes: wish.attributes ?? {},
      events: [],
      links: wish.links ?? [],
      status: wish.status ?? { code: "UNSET" },
      flags: "flags" in wish ? wish.flags : remote ? 0x301 : 0x101,
      traceState: "",
      scope: { name: wish.scope ?? "made-up", version: undefined },
      resource: { "service.name": service, ...wish.resource },
      receivedAtMs: 0,
    };
    this.spans.push(span);
    return span;
  }
}

/** How two services meet: what the spans of both ends look like. */
export interface Via {
  readonly exit: SpanWish;
  readonly entry: SpanWish;
}

/** A gRPC call, named by the newest conventions. */
export function grpc(method: string): Via {
  const attributes = { "rpc.system.name": "grpc", "rpc.method": method };
  return {
    exit: { name: method, kind: "CLIENT", attributes },
    entry: { name: method, kind: "SERVER", attributes },
  };
}

/** A Kafka record; with a place in the log both ends know which one. */
export function kafka(topic: string, place?: { partition: number; offset: number }): Via {
  const attributes = {
    "messaging.system.name": "kafka",
    "messaging.destination.name": topic,
    ...(place && {
      "messaging.destination.partition.id": String(place.partition),
      "kafka.offset": place.offset,
    }),
  };
  return message(topic, attributes);
}

/** A BullMQ job. */
export function bullmq(queue: string, id?: string): Via {
  return message(queue, {
    "messaging.system.name": "bullmq",
    "messaging.destination.name": queue,
    ...(id !== undefined && { "messaging.message.id": id }),
  });
}

/** An HTTP request. */
export function http(method: string, path: string): Via {
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

function message(destination: string, attributes: Readonly<Record<string, unknown>>): Via {
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

function millisecondsOf(span: Span): number {
  return Number(span.startNs - beginNs) / 1e6;
}

/** Exports spans as their services would, in one request. */
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

/** For tests that work much: patience with a busy machine. */
export const slow = { timeout: 60_000 } as const;
