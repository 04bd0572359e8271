import { type SpansOrTraces, tracesOf } from "../assemble.js";
import type { Diagnosis } from "../diagnose/index.js";
import { chosen } from "./fold.js";
import { groupsOf } from "./tree.js";
import { Canvas } from "./tree-renderer.js";

export interface WaterfallOptions {
  /** How many columns a line may take. Default: 100; less than 40 counts as 40. */
  readonly width?: number;
  /** Colours for a terminal, one per service. Default: none. */
  readonly color?: boolean;
  /** How many spans are drawn, the rest is folded; breaks and what leads to them come first. Default: 200. */
  readonly maxSpans?: number;
  /** Marks where traces broke, and draws the lost half where it belongs. Default: no marks. */
  readonly diagnosis?: Diagnosis;
}

/**
 * Draws traces as text: the tree of spans with kind, start, duration and a bar. The same spans give the same
 * text, on every machine.
 */
export function renderWaterfall(input: SpansOrTraces, options: WaterfallOptions = {}): string {
  const { width = 100, color = false, maxSpans = 200, diagnosis } = options;
  const groups = groupsOf(tracesOf(input), diagnosis);
  const canvas = new Canvas({
    width: Math.max(40, Math.floor(width)),
    color,
    drawn: chosen(groups, maxSpans),
    links: diagnosis?.links ?? [],
  });
  for (const group of groups) canvas.draw(group);
  return canvas.finish();
}
