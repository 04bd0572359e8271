import type { InstrumentationScope, Span, SpanKind, SpanStatus } from "../span.js";

/** A span while it is read, before it is known to be usable. Both encodings fill the same draft. */
export interface SpanDraft {
  traceId: string;
  spanId: string;
  parentSpanId: string;
  traceState: string;
  name: string;
  kind: number;
  startNs: bigint;
  endNs: bigint;
  /** Pairs, so that the last of two equal keys wins and "__proto__" is a key like any other. */
  attributes: [string, unknown][];
  events: EventDraft[];
  links: LinkDraft[];
  statusCode: number;
  statusMessage: string;
  flags: number | undefined;
}

export interface EventDraft {
  timeNs: bigint;
  name: string;
  attributes: [string, unknown][];
}

export interface LinkDraft {
  traceId: string;
  spanId: string;
  traceState: string;
  attributes: [string, unknown][];
  flags: number | undefined;
}

/** What one request held. A span with a malformed id is counted, not kept; the rest of its request is. */
export interface Decoded {
  readonly spans: readonly Span[];
  readonly rejected: number;
  /** Why the first of them was rejected; "" when none was. */
  readonly reason: string;
}

export function newSpanDraft(): SpanDraft {
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

export function newEventDraft(): EventDraft {
  return { timeNs: 0n, name: "", attributes: [] };
}

export function newLinkDraft(): LinkDraft {
  return { traceId: "", spanId: "", traceState: "", attributes: [], flags: undefined };
}

const kinds: readonly SpanKind[] = [
  "UNSPECIFIED",
  "INTERNAL",
  "SERVER",
  "CLIENT",
  "PRODUCER",
  "CONSUMER",
];

/** An integer attribute as a number, or as a bigint when a number cannot hold it. */
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

  add(
    draft: SpanDraft,
    scope: InstrumentationScope,
    resource: Readonly<Record<string, unknown>>,
  ): void {
    const fault = faultOf(draft);
    if (fault !== undefined) {
      this.#rejected += 1;
      if (this.#reason === "") this.#reason = fault;
      return;
    }
    const instance = resource["service.instance.id"];
    this.#spans.push({
      traceId: draft.traceId,
      spanId: draft.spanId,
      parentSpanId: isNothing(draft.parentSpanId) ? undefined : draft.parentSpanId,
      name: draft.name,
      kind: kinds[draft.kind] ?? "UNSPECIFIED",
      service: serviceOf(resource),
      instance: typeof instance === "string" ? instance : undefined,
      startNs: draft.startNs,
      endNs: draft.endNs,
      attributes: Object.fromEntries(draft.attributes),
      events: draft.events.map((event) => ({
        ...event,
        attributes: Object.fromEntries(event.attributes),
      })),
      links: draft.links.map((link) => ({
        ...link,
        attributes: Object.fromEntries(link.attributes),
      })),
      status: statusOf(draft),
      flags: draft.flags,
      traceState: draft.traceState,
      scope,
      resource,
      receivedAtMs: this.#receivedAtMs,
    });
  }

  finish(): Decoded {
    return { spans: this.#spans, rejected: this.#rejected, reason: this.#reason };
  }
}

function serviceOf(resource: Readonly<Record<string, unknown>>): string {
  const name = resource["service.name"];
  return typeof name === "string" && name !== "" ? name : "unknown_service";
}

function statusOf(draft: SpanDraft): SpanStatus {
  const code = draft.statusCode === 2 ? "ERROR" : draft.statusCode === 1 ? "OK" : "UNSET";
  return draft.statusMessage === "" ? { code } : { code, message: draft.statusMessage };
}

function faultOf(draft: SpanDraft): string | undefined {
  if (!/^[0-9a-f]{32}$/.test(draft.traceId) || isNothing(draft.traceId)) {
    return `trace id "${shown(draft.traceId)}" of span "${shown(draft.name)}" is not 16 bytes, not all zero`;
  }
  if (!/^[0-9a-f]{16}$/.test(draft.spanId) || isNothing(draft.spanId)) {
    return `span id "${shown(draft.spanId)}" of span "${shown(draft.name)}" is not 8 bytes, not all zero`;
  }
  if (!/^([0-9a-f]{16})?$/.test(draft.parentSpanId)) {
    return `parent span id "${shown(draft.parentSpanId)}" of span "${shown(draft.name)}" is not 8 bytes`;
  }
  return undefined;
}

function isNothing(id: string): boolean {
  return /^0*$/.test(id);
}

function shown(text: string): string {
  return text.length > 64 ? `${text.slice(0, 64)}…` : text;
}
