import type { Span } from "./span.js";

/** All spans with one trace id, as a tree. */
export interface Trace {
  readonly traceId: string;
  /** In order of start. A span that was exported twice is listed once. */
  readonly spans: readonly Span[];
  /** The spans without a parent id. A whole trace has exactly one. */
  readonly roots: readonly Span[];
  /** The spans whose parent is missing (or, in hostile data, is one of their own descendants). */
  readonly orphans: readonly Span[];
  /** In order of their first span. */
  readonly services: readonly string[];
  /** The spans by their id. */
  readonly byId: ReadonlyMap<string, Span>;
  /** Children by the span id of their parent, in order of start. From roots and orphans they reach every span once. */
  readonly children: ReadonlyMap<string, readonly Span[]>;
  readonly startNs: bigint;
  readonly endNs: bigint;
}

/** Input of the functions that look at traces: spans in any order, one trace, or several. */
export type SpansOrTraces = readonly Span[] | Trace | readonly Trace[];

/** Groups spans into traces, the earliest first. Missing parents are not made up: their children are orphans. */
export function assembleTraces(spans: readonly Span[]): Trace[] {
  const byTrace = new Map<string, Map<string, Span>>();
  for (const span of spans) {
    let group = byTrace.get(span.traceId);
    if (group === undefined) {
      group = new Map();
      byTrace.set(span.traceId, group);
    }
    // The first copy wins: an exporter that got no response in time sends the same batch again.
    if (!group.has(span.spanId)) group.set(span.spanId, span);
  }
  return [...byTrace].map(([traceId, group]) => assembleOne(traceId, group)).sort(byStart);
}

/** Assembles what is not assembled yet. */
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

/** Compares by start, for sorting: the earliest first. */
export function byStart(a: { readonly startNs: bigint }, b: { readonly startNs: bigint }): number {
  return compareTimes(a.startNs, b.startNs);
}

/** Compares two times, for sorting: the earlier first. */
export function compareTimes(a: bigint, b: bigint): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
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
  breakCycles(byId, roots, orphans, children);
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

// Span ids are untrusted: spans may be each other's parents, and a walk down the tree must end.
function breakCycles(
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
    const cut = firstInCycle(span, byId);
    const siblings = children.get(cut.parentSpanId ?? "") ?? [];
    children.set(
      cut.parentSpanId ?? "",
      siblings.filter((sibling) => sibling !== cut),
    );
    orphans.push(cut);
    reach([cut]);
  }
}

function firstInCycle(start: Span, byId: ReadonlyMap<string, Span>): Span {
  const seen = new Set<Span>();
  let span = start;
  while (!seen.has(span)) {
    seen.add(span);
    span = byId.get(span.parentSpanId ?? "") ?? span;
  }
  return span;
}
