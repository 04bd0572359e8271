import { below, type Group, type Node } from "./tree.js";

/**
 * Chooses what is drawn when there is more than `maxSpans`: first what leads to a break, then level by level
 * from the top. Undefined: everything.
 */
export function chosen(groups: readonly Group[], maxSpans: number): ReadonlySet<Node> | undefined {
  const tops = groups.flatMap((group) => group.tops);
  let count = 0;
  for (const _ of below(tops)) {
    count += 1;
    if (count > maxSpans) return choose(tops, maxSpans);
  }
  return undefined;
}

/** What of a node's children is not drawn, in words: "12 more: agent.process ×10, send orders ×2". */
export function foldedOf(nodes: readonly Node[]): {
  readonly count: number;
  readonly names: string;
} {
  const names = new Map<string, number>();
  let count = 0;
  for (const { span } of below(nodes)) {
    count += 1;
    names.set(span.name, (names.get(span.name) ?? 0) + 1);
  }
  const most = [...names].sort((a, b) => b[1] - a[1]).slice(0, 3);
  const rest = names.size > most.length ? ", …" : "";
  return { count, names: most.map(([name, times]) => `${name} ×${times}`).join(", ") + rest };
}

function choose(tops: readonly Node[], maxSpans: number): ReadonlySet<Node> {
  const drawn = new Set<Node>();
  for (const node of below(tops)) {
    if (node.mark === undefined && node.lost.length === 0) continue;
    const line: Node[] = [];
    for (let step: Node | undefined = node; step && !drawn.has(step); step = step.parent) {
      line.push(step);
    }
    if (drawn.size + line.length > maxSpans) break;
    for (const step of line) drawn.add(step);
  }
  let level = tops;
  while (level.length > 0 && drawn.size < maxSpans) {
    for (const node of level) if (drawn.size < maxSpans) drawn.add(node);
    level = level.filter((node) => drawn.has(node)).flatMap((node) => node.children);
  }
  return drawn;
}
