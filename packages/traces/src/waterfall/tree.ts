import { byStart, type Trace } from "../assemble.js";
import type { Break } from "../diagnose/finding.js";
import type { Diagnosis } from "../diagnose/index.js";
import type { Span } from "../span.js";

/** A span and the spans that are drawn below it. */
export interface TreeNode {
  readonly span: Span;
  readonly children: TreeNode[];
  parent: TreeNode | undefined;
  /** The break or link between the parent and this span. */
  breakAbove: Break | undefined;
  /** The breaks below this span whose callee recorded nothing. */
  readonly breaksBelow: Break[];
}

/** A trace as it is drawn, with the lost halves of others that belong below it. */
export interface TraceTree {
  readonly trace: Trace;
  /** The nodes without a parent: the root, and spans whose parent is missing. */
  readonly roots: readonly TreeNode[];
}

/** Builds the trees to draw. With a diagnosis, a lost half stands below the span that it was lost from. */
export function buildTrees(
  traces: readonly Trace[],
  diagnosis: Diagnosis | undefined,
): TraceTree[] {
  const nodes = new Map<string, TreeNode>();
  for (const trace of traces) for (const span of trace.spans) nodes.set(keyOf(span), nodeOf(span));
  for (const trace of traces) connect(trace, nodes);
  for (const lostHop of [...(diagnosis?.breaks ?? []), ...(diagnosis?.links ?? [])]) {
    attachLostHalf(lostHop, nodes);
  }
  return traces.flatMap((trace) => {
    const roots = [...trace.roots, ...trace.orphans]
      .sort(byStart)
      .flatMap((span) => nodes.get(keyOf(span)) ?? [])
      .filter((node) => node.parent === undefined);
    return roots.length === 0 ? [] : [{ trace, roots }];
  });
}

/** The nodes and all their descendants, parents first. */
export function* descendants(roots: readonly TreeNode[]): Generator<TreeNode> {
  const open = [...roots].reverse();
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    yield node;
    for (const child of node.children.toReversed()) open.push(child);
  }
}

function connect({ traceId, children }: Trace, nodes: ReadonlyMap<string, TreeNode>): void {
  for (const [spanId, spans] of children) {
    const parent = nodes.get(keyOf({ traceId, spanId }));
    if (parent === undefined) continue;
    for (const span of spans) {
      const child = nodes.get(keyOf(span));
      if (child === undefined) continue;
      child.parent = parent;
      parent.children.push(child);
    }
  }
}

function attachLostHalf(lostHop: Break, nodes: ReadonlyMap<string, TreeNode>): void {
  const upper = lostHop.exit && nodes.get(keyOf(lostHop.exit));
  if (lostHop.entry === undefined) {
    upper?.breaksBelow.push(lostHop);
    return;
  }
  // The lower half may be in a trace that is not drawn: then its first span stands for it.
  const lower = nodes.get(keyOf(lostHop.entry)) ?? (upper && nodeOf(lostHop.entry));
  if (lower === undefined || lower.breakAbove !== undefined) return;
  if (lower.parent === undefined && upper !== undefined && rootOf(upper) !== lower) {
    lower.parent = upper;
    upper.children.push(lower);
    upper.children.sort((a, b) => byStart(a.span, b.span));
  }
  lower.breakAbove = lostHop;
}

function rootOf(node: TreeNode): TreeNode {
  let root = node;
  while (root.parent !== undefined) root = root.parent;
  return root;
}

function nodeOf(span: Span): TreeNode {
  return { span, children: [], parent: undefined, breakAbove: undefined, breaksBelow: [] };
}

function keyOf({ traceId, spanId }: Pick<Span, "traceId" | "spanId">): string {
  return `${traceId}-${spanId}`;
}
