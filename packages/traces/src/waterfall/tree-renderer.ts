import picocolors from "picocolors";
import type { Break } from "../diagnose/finding.js";
import { isHop } from "../diagnose/world.js";
import { breakNote, foldNote, type Note, orphanNote } from "./note.js";
import { RowLayout } from "./row.js";
import { duration, exactly, printable, wrap } from "./text.js";
import { descendants, type TraceTree, type TreeNode } from "./tree.js";

/** One branch of the tree: a note, a span, or a span below a note. */
interface Branch {
  /** The strokes before its first line. */
  readonly lead: string;
  /** The strokes before its other lines, and before its children. */
  readonly rest: string;
  readonly note: Note | undefined;
  readonly node: TreeNode | undefined;
}

type Paint = (text: string) => string;

/** The strokes of the tree; deep trees get the narrow ones. */
const WIDE_STROKES = { next: "├─ ", last: "└─ ", line: "│  ", gap: "   " };
const NARROW_STROKES = { next: "├─", last: "└─", line: "│ ", gap: "  " };

/** A child in another process that begins this much before its parent is marked: clocks do not resolve less. */
const MIN_SKEW_NS = 1_000_000n;

/** Draws traces one below the other, in lines of at most `width` columns. */
export class TreeRenderer {
  readonly #width: number;
  readonly #drawn: ReadonlySet<TreeNode> | undefined;
  readonly #links: ReadonlySet<Break>;
  readonly #colors: ReturnType<typeof picocolors.createColors>;
  readonly #paints = new Map<string, Paint>();
  readonly #lines: string[] = [];
  #strokes = WIDE_STROKES;
  #hiddenTraces = 0;
  #hiddenSpans = 0;
  #maxSkewNs = 0n;

  constructor(options: {
    readonly width: number;
    readonly color: boolean;
    /** The nodes to draw. Undefined means all of them. */
    readonly drawn: ReadonlySet<TreeNode> | undefined;
    readonly links: readonly Break[];
  }) {
    this.#width = options.width;
    this.#drawn = options.drawn;
    this.#links = new Set(options.links);
    this.#colors = picocolors.createColors(options.color);
  }

  /** Draws one trace. Without any node to draw it is only counted. */
  draw({ trace, roots }: TraceTree): void {
    const spans = [...descendants(roots)].map((node) => node.span);
    if (!roots.some((node) => this.#isDrawn(node))) {
      this.#hiddenTraces += 1;
      this.#hiddenSpans += spans.length;
      return;
    }
    let [startNs, endNs] = [trace.startNs, trace.endNs];
    for (const span of spans) {
      if (span.startNs < startNs) startNs = span.startNs;
      if (span.endNs > endNs) endNs = span.endNs;
    }
    const services = new Set(spans.map((span) => span.service)).size;
    const sizes = `${count(spans.length, "span")}, ${count(services, "service")}`;
    if (this.#lines.length > 0) this.#lines.push("");
    this.#writeWrapped(
      `trace ${printable(trace.traceId)}: ${sizes}, ${duration(endNs - startNs)}`,
      this.#colors.bold,
    );
    const layout = new RowLayout(this.#width, startNs, endNs);
    const isDeep = 3 * depthOf(roots) > layout.columns.lead;
    this.#strokes = isDeep ? NARROW_STROKES : WIDE_STROKES;
    this.#drawTree(roots, layout);
  }

  /** The drawing, with a summary of what was not drawn and of clock skew. */
  finish(): string {
    if (this.#hiddenTraces > 0) {
      const spans = count(this.#hiddenSpans, "span");
      this.#writeWrapped(
        `… ${count(this.#hiddenTraces, "more trace")} of ${spans}`,
        this.#colors.dim,
      );
    }
    if (this.#maxSkewNs > 0n) {
      this.#writeWrapped(
        `~ began before its parent in another process (by up to ${duration(this.#maxSkewNs)}): their clocks differ`,
        this.#colors.dim,
      );
    }
    return this.#lines.join("\n");
  }

  #drawTree(roots: readonly TreeNode[], layout: RowLayout): void {
    const open = this.#branches([], roots, "", true).reverse();
    for (let branch = open.pop(); branch !== undefined; branch = open.pop()) {
      const { note, node, rest } = branch;
      if (note !== undefined) this.#drawNote(branch, note);
      if (node === undefined) continue;
      const { last, gap } = this.#strokes;
      const lead = note === undefined ? branch.lead : `${rest}${last}`;
      // No longer than a line: otherwise a long chain would build a long prefix for every span.
      const inner = cutStart(note === undefined ? rest : `${rest}${gap}`, this.#width);
      this.#drawSpan(lead, node, layout);
      const notes = node.breaksBelow.map((lostHop) => this.#breakNote(lostHop, node));
      for (const next of this.#branches(notes, node.children, inner, false).reverse())
        open.push(next);
    }
  }

  #branches(
    notes: readonly Note[],
    nodes: readonly TreeNode[],
    prefix: string,
    isTop: boolean,
  ): Branch[] {
    const folded = nodes.filter((node) => !this.#isDrawn(node));
    const parts: Pick<Branch, "note" | "node">[] = [
      ...notes.map((note) => ({ note, node: undefined })),
      ...nodes
        .filter((node) => this.#isDrawn(node))
        .map((node) => ({ note: this.#noteAbove(node), node })),
      ...(folded.length > 0 ? [{ note: foldNote(folded), node: undefined }] : []),
    ];
    const { next, last, line, gap } = this.#strokes;
    return parts.map((part, index) => {
      if (isTop) return { ...part, lead: "", rest: "" };
      const isLast = index === parts.length - 1;
      return {
        ...part,
        lead: `${prefix}${isLast ? last : next}`,
        rest: `${prefix}${isLast ? gap : line}`,
      };
    });
  }

  #isDrawn(node: TreeNode): boolean {
    return this.#drawn === undefined || this.#drawn.has(node);
  }

  #noteAbove(node: TreeNode): Note | undefined {
    if (node.breakAbove !== undefined) return this.#breakNote(node.breakAbove, node);
    const { parentSpanId } = node.span;
    return node.parent === undefined && parentSpanId !== undefined
      ? orphanNote(parentSpanId)
      : undefined;
  }

  #breakNote(lostHop: Break, node: TreeNode): Note {
    return breakNote(lostHop, node.span.traceId, this.#links.has(lostHop));
  }

  #drawNote({ lead, rest }: Branch, { lines, tone }: Note): void {
    const paint = tone === "bad" ? this.#colors.red : this.#colors.dim;
    const first = cutStart(lead, this.#width / 2);
    const others = cutStart(rest, this.#width / 2);
    const columns = this.#width - Math.max(first.length, others.length) - 2;
    lines.forEach((line, index) => {
      wrap(line, columns).forEach((part, row) => {
        const start = index === 0 && row === 0 ? first : others;
        // The continuation of a line is indented by two columns.
        this.#lines.push(this.#dim(start) + paint(row === 0 ? part : `  ${part}`));
      });
    });
  }

  #drawSpan(lead: string, node: TreeNode, layout: RowLayout): void {
    const { span } = node;
    const paint = this.#paintOf(span.service);
    const strokes = cutStart(lead, layout.columns.lead);
    // The service is written where it changes, not on the spans below.
    const isSameService =
      node.parent?.span.service === span.service && node.breakAbove === undefined;
    const service = isSameService ? "" : `${printable(span.service)}: `;
    const failed = span.status.code === "ERROR" ? "! " : "";
    const text = `${service}${failed}${printable(span.name)}`;
    const label = exactly(text, layout.columns.label - strokes.length);
    const painted = isSameService
      ? paint(label)
      : paint(label.slice(0, service.length)) + label.slice(service.length);
    const { kind, offset, length, gap, bar } = layout.cellsOf(node, this.#skewOf(node) > 0n);
    const cells = [this.#dim(strokes) + painted, this.#dim(kind), offset, length];
    if (bar !== "") cells.push(gap + paint(bar));
    this.#lines.push(cells.join(" "));
  }

  #skewOf({ span, parent }: TreeNode): bigint {
    if (parent === undefined || !isHop(parent.span, span)) return 0n;
    const ahead = parent.span.startNs - span.startNs;
    if (ahead < MIN_SKEW_NS) return 0n;
    if (ahead > this.#maxSkewNs) this.#maxSkewNs = ahead;
    return ahead;
  }

  // Colours are given in order of appearance, so that the same spans have the same colours.
  #paintOf(service: string): Paint {
    const { cyan, magenta, yellow, green, blue } = this.#colors;
    const palette = [cyan, magenta, yellow, green, blue];
    const assigned = this.#paints.get(service);
    if (assigned !== undefined) return assigned;
    const paint = palette[this.#paints.size % palette.length] ?? cyan;
    this.#paints.set(service, paint);
    return paint;
  }

  #dim(text: string): string {
    return text === "" ? "" : this.#colors.dim(text);
  }

  #writeWrapped(text: string, paint: Paint): void {
    for (const line of wrap(text, this.#width)) this.#lines.push(paint(line));
  }
}

function depthOf(roots: readonly TreeNode[]): number {
  const depths = new Map<TreeNode, number>();
  let deepest = 0;
  for (const node of descendants(roots)) {
    const parentDepth = node.parent === undefined ? -1 : (depths.get(node.parent) ?? 0);
    // A note above the span is a level of its own.
    const depth = parentDepth + (node.breakAbove === undefined ? 1 : 2);
    depths.set(node, depth);
    if (depth > deepest) deepest = depth;
  }
  return deepest;
}

// In deep trees the strokes would leave no columns for the label: those nearest to it are kept.
function cutStart(lead: string, columns: number): string {
  const kept = Math.max(4, Math.floor(columns));
  return lead.length <= kept ? lead : `…${lead.slice(1 - kept)}`;
}

function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? "" : "s"}`;
}
