import type { Break } from "../diagnose/finding.js";
import { foldedOf } from "./fold.js";
import { printable } from "./text.js";
import type { Node } from "./tree.js";

/** Lines that stand in the tree but are no span. */
export interface Note {
  readonly lines: readonly string[];
  readonly tone: "bad" | "quiet";
}

/** The break mark between two halves, or the remark that a link joins them. */
export function markNote(mark: Break, traceId: string, isLink: boolean): Note {
  const { code, sentence, hint } = mark.verdict;
  const lines = [
    `${isLink ? "~" : "✗"} ${code}: ${mark.from} → ${mark.to}, ${mark.via}`,
    sentence,
    `${isLink ? "note" : "fix"}: ${hint}`,
  ];
  if (mark.exit !== undefined && mark.exit.traceId !== traceId) {
    lines.push(`from here on it is trace ${traceId}`);
  }
  return { lines: lines.map((line) => printable(line, 1000)), tone: isLink ? "quiet" : "bad" };
}

/** For a span whose parent is missing, when no diagnosis says more. */
export function orphanNote(parentSpanId: string): Note {
  return { lines: [printable(`✗ its parent ${parentSpanId} never arrived`)], tone: "bad" };
}

/** What was left out below a span. */
export function foldNote(nodes: readonly Node[]): Note {
  const { count, names } = foldedOf(nodes);
  const spans = count === 1 ? "1 more span" : `${count} more spans`;
  return { lines: [printable(`… ${spans}: ${names}`)], tone: "quiet" };
}
