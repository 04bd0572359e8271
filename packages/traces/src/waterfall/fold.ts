import { descendants, type TraceTree, type TreeNode } from "./tree.js";

/**
 * Chooses the nodes to draw when there are more than `maxSpans`: first those that lead to a break, then level by
 * level from the top. Undefined means all of them.
 */
export function chooseDrawn(
  trees: readonly TraceTree[],
  maxSpans: number,
): ReadonlySet<TreeNode> | undefined {
  const roots = trees.flatMap((tree) => tree.roots);
  let count = 0;
  for (const _ of descendants(roots)) {
    count += 1;
    if (count > maxSpans) return chooseSome(roots, maxSpans);
  }
  return undefined;
}

/** Counts nodes that are not drawn, and their descendants; `names` is like "agent.process ×10, send orders ×2". */
export function summarizeFolded(nodes: readonly TreeNode[]): {
  readonly count: number;
  readonly names: string;
} {
  const names = new Map<string, number>();
  let count = 0;
  for (const { span } of descendants(nodes)) {
    count += 1;
    names.set(span.name, (names.get(span.name) ?? 0) + 1);
  }
  const most = [...names].sort((a, b) => b[1] - a[1]).slice(0, 3);
  const rest = names.size > most.length ? ", …" : "";
  return { count, names: most.map(([name, times]) => `${name} ×${times}`).join(", ") + rest };
}

function chooseSome(roots: readonly TreeNode[], maxSpans: number): ReadonlySet<TreeNode> {
  const drawn = new Set<TreeNode>();
  addPathsToBreaks(roots, maxSpans, drawn);
  addLevels(roots, maxSpans, drawn);
  return drawn;
}

function addPathsToBreaks(
  roots: readonly TreeNode[],
  maxSpans: number,
  drawn: Set<TreeNode>,
): void {
  for (const node of descendants(roots)) {
    if (node.breakAbove === undefined && node.breaksBelow.length === 0) continue;
    const path: TreeNode[] = [];
    for (let step: TreeNode | undefined = node; step && !drawn.has(step); step = step.parent) {
      path.push(step);
    }
    if (drawn.size + path.length > maxSpans) return;
    for (const step of path) drawn.add(step);
  }
}

function addLevels(roots: readonly TreeNode[], maxSpans: number, drawn: Set<TreeNode>): void {
  let level = roots;
  while (level.length > 0 && drawn.size < maxSpans) {
    for (const node of level) if (drawn.size < maxSpans) drawn.add(node);
    level = level.filter((node) => drawn.has(node)).flatMap((node) => node.children);
  }
}
