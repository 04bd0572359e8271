import picocolors from "picocolors";
import type { Break } from "../diagnose/finding.js";
import { isHop } from "../diagnose/world.js";
import { foldNote, markNote, type Note, orphanNote } from "./note.js";
import { Row } from "./row.js";
import { duration, exactly, printable, wrap } from "./text.js";
import { below, type Group, type Node } from "./tree.js";

/** What takes a place in the tree: a note, a span, or a span below a note. */
interface Item {
  readonly lead: string;
  readonly rest: string;
  readonly note: Note | undefined;
  readonly node: Node | undefined;
}

type Paint = (text: string) => string;

/** The lines of the tree, and narrower ones for deep trees. */
const wide = { next: "├─ ", last: "└─ ", line: "│  ", gap: "   " };
const tight = { next: "├─", last: "└─", line: "│ ", gap: "  " };

/** How early a child in another process may begin before it is called skewed: what clocks resolve. */
const skewNs = 1_000_000n;

/** Draws groups one below the other, in lines of at most so many columns. */
export class Canvas {
  readonly #width: number;
  readonly #drawn: ReadonlySet<Node> | undefined;
  readonly #links: ReadonlySet<Break>;
  readonly #colors: ReturnType<typeof picocolors.createColors>;
  readonly #paints = new Map<string, Paint>();
  readonly #lines: string[] = [];
  #strokes = wide;
  #hiddenTraces = 0;
  #hiddenSpans = 0;
  #maxSkewNs = 0n;

  constructor(options: {
    readonly width: number;
    readonly color: boolean;
    /** What is not folded; undefined: everything. */
    readonly drawn: ReadonlySet<Node> | undefined;
    readonly links: readonly Break[];
  }) {
    this.#width = options.width;
    this.#drawn = options.drawn;
    this.#links = new Set(options.links);
    this.#colors = picocolors.createColors(options.color);
  }

  draw({ trace, tops }: Group): void {
    const spans = [...below(tops)].map((node) => node.span);
    if (!tops.some((node) => this.#isDrawn(node))) {
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
    this.#write(
      `trace ${printable(trace.traceId)}: ${sizes}, ${duration(endNs - startNs)}`,
      this.#colors.bold,
    );
    const row = new Row(this.#width, startNs, endNs);
    const isDeep = 3 * depthOf(tops) > row.columns.lead;
    this.#strokes = isDeep ? tight : wide;
    this.#tree(tops, row);
  }

  finish(): string {
    if (this.#hiddenTraces > 0) {
      const spans = count(this.#hiddenSpans, "span");
      this.#write(`… ${count(this.#hiddenTraces, "more trace")} of ${spans}`, this.#colors.dim);
    }
    if (this.#maxSkewNs > 0n) {
      this.#write(
        `~ began before its parent in another process (by up to ${duration(this.#maxSkewNs)}): their clocks differ`,
        this.#colors.dim,
      );
    }
    return this.#lines.join("\n");
  }

  #tree(tops: readonly Node[], row: Row): void {
    const open = this.#items([], tops, "", true).reverse();
    for (let item = open.pop(); item !== undefined; item = open.pop()) {
      const { note, node, rest } = item;
      if (note !== undefined) this.#note(item, note);
      if (node === undefined) continue;
      const { last, gap } = this.#strokes;
      const lead = note === undefined ? item.lead : `${rest}${last}`;
      // No longer than a line, or a long chain would build a long prefix for every span.
      const inner = shorten(note === undefined ? rest : `${rest}${gap}`, this.#width);
      this.#row(lead, node, row);
      const lost = node.lost.map((mark) => this.#markNote(mark, node));
      for (const next of this.#items(lost, node.children, inner, false).reverse()) open.push(next);
    }
  }

  #items(lost: readonly Note[], nodes: readonly Node[], prefix: string, isTop: boolean): Item[] {
    const folded = nodes.filter((node) => !this.#isDrawn(node));
    const parts: Pick<Item, "note" | "node">[] = [
      ...lost.map((note) => ({ note, node: undefined })),
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

  #isDrawn(node: Node): boolean {
    return this.#drawn === undefined || this.#drawn.has(node);
  }

  #noteAbove(node: Node): Note | undefined {
    if (node.mark !== undefined) return this.#markNote(node.mark, node);
    const { parentSpanId } = node.span;
    return node.parent === undefined && parentSpanId !== undefined
      ? orphanNote(parentSpanId)
      : undefined;
  }

  #markNote(mark: Break, node: Node): Note {
    return markNote(mark, node.span.traceId, this.#links.has(mark));
  }

  #note({ lead, rest }: Item, { lines, tone }: Note): void {
    const paint = tone === "bad" ? this.#colors.red : this.#colors.dim;
    const first = shorten(lead, this.#width / 2);
    const others = shorten(rest, this.#width / 2);
    const room = this.#width - Math.max(first.length, others.length) - 2;
    lines.forEach((line, index) => {
      wrap(line, room).forEach((part, row) => {
        const start = index === 0 && row === 0 ? first : others;
        // What continues a line stands two columns further in.
        this.#lines.push(this.#dim(start) + paint(row === 0 ? part : `  ${part}`));
      });
    });
  }

  #row(lead: string, node: Node, row: Row): void {
    const { span } = node;
    const paint = this.#paintOf(span.service);
    const short = shorten(lead, row.columns.lead);
    // Named where it changes: the names below belong to the same service.
    const isSame = node.parent?.span.service === span.service && node.mark === undefined;
    const service = isSame ? "" : `${printable(span.service)}: `;
    const failed = span.status.code === "ERROR" ? "! " : "";
    const text = `${service}${failed}${printable(span.name)}`;
    const label = exactly(text, row.columns.label - short.length);
    const named = isSame
      ? paint(label)
      : paint(label.slice(0, service.length)) + label.slice(service.length);
    const { kind, offset, length, gap, bar } = row.of(node, this.#skewOf(node) > 0n);
    const cells = [this.#dim(short) + named, this.#dim(kind), offset, length];
    if (bar !== "") cells.push(gap + paint(bar));
    this.#lines.push(cells.join(" "));
  }

  #skewOf({ span, parent }: Node): bigint {
    if (parent === undefined || !isHop(parent.span, span)) return 0n;
    const ahead = parent.span.startNs - span.startNs;
    if (ahead < skewNs) return 0n;
    if (ahead > this.#maxSkewNs) this.#maxSkewNs = ahead;
    return ahead;
  }

  // In order of appearance, so that the same spans have the same colours.
  #paintOf(service: string): Paint {
    const { cyan, magenta, yellow, green, blue } = this.#colors;
    const palette = [cyan, magenta, yellow, green, blue];
    const known = this.#paints.get(service);
    if (known !== undefined) return known;
    const paint = palette[this.#paints.size % palette.length] ?? cyan;
    this.#paints.set(service, paint);
    return paint;
  }

  #dim(text: string): string {
    return text === "" ? "" : this.#colors.dim(text);
  }

  #write(text: string, paint: Paint): void {
    for (const line of wrap(text, this.#width)) this.#lines.push(paint(line));
  }
}

function depthOf(tops: readonly Node[]): number {
  const depths = new Map<Node, number>();
  let deepest = 0;
  for (const node of below(tops)) {
    const above = node.parent === undefined ? -1 : (depths.get(node.parent) ?? 0);
    // A note takes a place of its own above its span.
    const depth = above + (node.mark === undefined ? 1 : 2);
    depths.set(node, depth);
    if (depth > deepest) deepest = depth;
  }
  return deepest;
}

// Deep down the lines of the tree would leave no room for words: the nearest ones are kept.
function shorten(lead: string, columns: number): string {
  const room = Math.max(4, Math.floor(columns));
  return lead.length <= room ? lead : `…${lead.slice(1 - room)}`;
}

function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? "" : "s"}`;
}
