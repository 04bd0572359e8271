import { type SpansOrTraces, tracesOf } from "../assemble.js";
import type { Diagnosis } from "../diagnose/index.js";
import { chooseDrawn } from "./fold.js";
import { buildTrees } from "./tree.js";
import { TreeRenderer } from "./tree-renderer.js";

/** Options of `renderWaterfall`. */
export interface WaterfallOptions {
  /** How many columns a line may have. Default: 100; less than 40 counts as 40. */
  readonly width?: number;
  /** Write ANSI colours, one per service. Default: false. */
  readonly color?: boolean;
  /** How many spans are drawn; the others are counted. Breaks and the spans that lead to them come first. Default: 200. */
  readonly maxSpans?: number;
  /** Breaks to mark; a lost half is drawn below the span it was lost from. Default: none. */
  readonly diagnosis?: Diagnosis;
}

/**
 * Draws traces as text: the tree of spans with kind, start, duration and a bar. The same spans give the same
 * text, on every machine.
 */
export function renderWaterfall(input: SpansOrTraces, options: WaterfallOptions = {}): string {
  const { width = 100, color = false, maxSpans = 200, diagnosis } = options;
  const trees = buildTrees(tracesOf(input), diagnosis);
  const renderer = new TreeRenderer({
    width: Math.max(40, Math.floor(width)),
    color,
    drawn: chooseDrawn(trees, maxSpans),
    links: diagnosis?.links ?? [],
  });
  for (const tree of trees) renderer.draw(tree);
  return renderer.finish();
}
