import type { Span } from "./span.js";

/** Every span with one trace id, put in order. */
export interface Trace {
  readonly traceId: string;
  /** In order of start. A span that was exported twice is here once. */
  readonly spans: readonly Span[];
  /** The spans that name no parent. A whole trace has exactly one. */
  readonly roots: readonly Span[];
  /** The spans whose parent is not here (or, in hostile data, is one of their own descendants). */
  readonly orphans: readonly Span[];
  /** By first start. */
  readonly services: readonly string[];
  readonly byId: ReadonlyMap<string, Span>;
  /** The children of a span id, in order of start. Following it from roots and orphans reaches every span once. */
  readonly children: ReadonlyMap<string, readonly Span[]>;
  readonly startNs: bigint;
  readonly endNs: bigint;
}

/** What the functions of this kit take: spans as they came, one trace, or several. */
export type SpansOrTraces = readonly Span[] | Trace | readonly Trace[];

/** Sorts spans into traces, the earliest first. It invents nothing: a missing parent leaves an orphan. */
export function assembleTraces(spans: readonly Span[]): Trace[] {
  const byTrace = new Map<string, Map<string, Span>>();
  for (const span of spans) {
    let group = byTrace.get(span.traceId);
    if (group === undefined) {
      group = new Map();
      byTrace.set(span.traceId, group);
    }
    // The first copy wins: an exporter that got no answer in time sends the same batch again.
    if (!group.has(span.spanId)) group.set(span.spanId, span);
  }
  return [...byTrace].map(([traceId, group]) => assembleOne(traceId, group)).sort(byStart);
}

/** The same, for what may be assembled already. */
export function tracesOf(input: SpansOrTraces): readonly Trace[] {
  if ("children" in input) return [input];
  const spans: Span[] = [];
  const traces: Trace[] = [];
  for (const item of input) {
    if ("children" in item) traces.push(item);
    else spans.push(item);
  }
  return traces.length > 0 ? traces : assembleTraces(spans);
}

/** Earlier start first. */
export function byStart(a: { readonly startNs: bigint }, b: { readonly startNs: bigint }): number {
  return a.startNs < b.startNs ? -1 : a.startNs > b.startNs ? 1 : 0;
}

function assembleOne(traceId: string, byId: Map<string, Span>): Trace {
  const spans = [...byId.values()].sort(byStart);
  const children = new Map<string, Span[]>();
  const roots: Span[] = [];
  const orphans: Span[] = [];
  const services = new Set<string>();
  let endNs = 0n;
  for (const span of spans) {
    services.add(span.service);
    if (span.endNs > endNs) endNs = span.endNs;
    const parent = span.parentSpanId;
    if (parent === undefined) {
      roots.push(span);
    } else if (!byId.has(parent)) {
      orphans.push(span);
    } else {
      const siblings = children.get(parent);
      if (siblings === undefined) children.set(parent, [span]);
      else siblings.push(span);
    }
  }
  cutCircles(byId, roots, orphans, children);
  return {
    traceId,
    spans,
    roots,
    orphans,
    services: [...services],
    byId,
    children,
    startNs: spans[0]?.startNs ?? 0n,
    endNs,
  };
}

// Ids come from strangers: spans may be each other's parents, and whoever walks the tree must come to an end.
function cutCircles(
  byId: ReadonlyMap<string, Span>,
  roots: readonly Span[],
  orphans: Span[],
  children: Map<string, Span[]>,
): void {
  const reached = new Set<Span>();
  const reach = (from: readonly Span[]): void => {
    const open = [...from];
    for (let span = open.pop(); span !== undefined; span = open.pop()) {
      if (reached.has(span)) continue;
      reached.add(span);
      for (const child of children.get(span.spanId) ?? []) open.push(child);
    }
  };
  reach(roots);
  reach(orphans);
  for (const span of byId.values()) {
    if (reached.has(span)) continue;
    const cut = firstInCircle(span, byId);
    const siblings = children.get(cut.parentSpanId ?? "") ?? [];
    children.set(
      cut.parentSpanId ?? "",
      siblings.filter((sibling) => sibling !== cut),
    );
    orphans.push(cut);
    reach([cut]);
  }
}

function firstInCircle(start: Span, byId: ReadonlyMap<string, Span>): Span {
  const seen = new Set<Span>();
  let span = start;
  while (!seen.has(span)) {
    seen.add(span);
    span = byId.get(span.parentSpanId ?? "") ?? span;
  }
  return span;
}
