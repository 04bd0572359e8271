import { byStart, type Trace } from "../assemble.js";
import type { Break } from "../diagnose/finding.js";
import type { Diagnosis } from "../diagnose/index.js";
import type { Span } from "../span.js";

/** A span where it is drawn. */
export interface Node {
  readonly span: Span;
  readonly children: Node[];
  parent: Node | undefined;
  /** Why the line above it is broken. */
  mark: Break | undefined;
  /** Breaks below it whose other half was never recorded. */
  readonly lost: Break[];
}

/** What is drawn together: a trace, and the halves of others that belong below it. */
export interface Group {
  readonly trace: Trace;
  readonly tops: readonly Node[];
}

/** Builds the trees to draw. With a diagnosis, a lost half stands below the span that it was lost from. */
export function groupsOf(traces: readonly Trace[], diagnosis: Diagnosis | undefined): Group[] {
  const nodes = new Map<string, Node>();
  for (const trace of traces) for (const span of trace.spans) nodes.set(idOf(span), nodeOf(span));
  for (const trace of traces) {
    for (const [parentId, children] of trace.children) {
      const parent = nodes.get(idOf({ traceId: trace.traceId, spanId: parentId }));
      for (const span of children) {
        const child = nodes.get(idOf(span));
        if (parent === undefined || child === undefined) continue;
        child.parent = parent;
        parent.children.push(child);
      }
    }
  }
  for (const mark of [...(diagnosis?.breaks ?? []), ...(diagnosis?.links ?? [])]) {
    graft(mark, nodes);
  }
  return traces.flatMap((trace) => {
    const tops = [...trace.roots, ...trace.orphans]
      .sort(byStart)
      .flatMap((span) => nodes.get(idOf(span)) ?? [])
      .filter((node) => node.parent === undefined);
    return tops.length === 0 ? [] : [{ trace, tops }];
  });
}

/** The node and everything below it, top down. */
export function* below(tops: readonly Node[]): Generator<Node> {
  const open = [...tops].reverse();
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    yield node;
    for (const child of node.children.toReversed()) open.push(child);
  }
}

function graft(mark: Break, nodes: Map<string, Node>): void {
  const upper = mark.exit && nodes.get(idOf(mark.exit));
  if (mark.entry === undefined) {
    upper?.lost.push(mark);
    return;
  }
  const known = nodes.get(idOf(mark.entry));
  // The lower half may lie in a trace that is not drawn: then its first span stands for it.
  const lower = known ?? (upper && nodeOf(mark.entry));
  if (lower === undefined || lower.mark !== undefined) return;
  const isTop = lower.parent === undefined;
  if (isTop && upper !== undefined && topOf(upper) !== lower) {
    lower.parent = upper;
    upper.children.push(lower);
    upper.children.sort((a, b) => byStart(a.span, b.span));
  }
  lower.mark = mark;
}

function topOf(node: Node): Node {
  let top = node;
  while (top.parent !== undefined) top = top.parent;
  return top;
}

function nodeOf(span: Span): Node {
  return { span, children: [], parent: undefined, mark: undefined, lost: [] };
}

function idOf({ traceId, spanId }: Pick<Span, "traceId" | "spanId">): string {
  return `${traceId}-${spanId}`;
}
