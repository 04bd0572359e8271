import type { Break } from "../diagnose/finding.js";
import { summarizeFolded } from "./fold.js";
import { printable } from "./text.js";
import type { TreeNode } from "./tree.js";

/** Lines in the tree that are not a span. */
export interface Note {
  readonly lines: readonly string[];
  readonly tone: "bad" | "quiet";
}

/** Explains the break between two halves, or the link that joins them. */
export function breakNote(lostHop: Break, traceId: string, isLink: boolean): Note {
  const { code, sentence, hint } = lostHop.verdict;
  const lines = [
    `${isLink ? "~" : "✗"} ${code}: ${lostHop.from} → ${lostHop.to}, ${lostHop.via}`,
    sentence,
    `${isLink ? "note" : "fix"}: ${hint}`,
  ];
  if (lostHop.exit !== undefined && lostHop.exit.traceId !== traceId) {
    lines.push(`from here on it is trace ${traceId}`);
  }
  return { lines: lines.map((line) => printable(line, 1000)), tone: isLink ? "quiet" : "bad" };
}

/** Says that the parent of a span is missing, when no diagnosis explains it. */
export function orphanNote(parentSpanId: string): Note {
  return { lines: [printable(`✗ its parent ${parentSpanId} never arrived`)], tone: "bad" };
}

/** Says which spans are not drawn below a span. */
export function foldNote(nodes: readonly TreeNode[]): Note {
  const { count, names } = summarizeFolded(nodes);
  const spans = count === 1 ? "1 more span" : `${count} more spans`;
  return { lines: [printable(`… ${spans}: ${names}`)], tone: "quiet" };
}
