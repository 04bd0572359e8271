import picocolors from "picocolors";
import stringWidth from "string-width";
import type { Break } from "../diagnose/finding.js";
import { isHop } from "../diagnose/world.js";
import { Bar } from "./bar.js";
import { foldNote, markNote, type Note, orphanNote } from "./note.js";
import { duration, exactly, printable, truncate, wrap } from "./text.js";
import { below, type Group, type Node } from "./tree.js";

/** What takes a place in the tree: a note, a span, or a span below a note. */
interface Item {
  readonly lead: string;
  readonly rest: string;
  readonly note: Note | undefined;
  readonly node: Node | undefined;
}

type Paint = (text: string) => string;

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
    this.#tree(tops, new Row(this.#width, startNs, endNs));
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
      const lead = note === undefined ? item.lead : `${rest}└─ `;
      const inner = note === undefined ? rest : `${rest}   `;
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
    return parts.map((part, index) => {
      if (isTop) return { ...part, lead: "", rest: "" };
      const isLast = index === parts.length - 1;
      return {
        ...part,
        lead: `${prefix}${isLast ? "└─ " : "├─ "}`,
        rest: `${prefix}${isLast ? "   " : "│  "}`,
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
        this.#lines.push(this.#colors.dim(start) + paint(row === 0 ? part : `  ${part}`));
      });
    });
  }

  #row(lead: string, node: Node, row: Row): void {
    const { span } = node;
    const paint = this.#paintOf(span.service);
    const short = shorten(lead, row.columns.label / 2);
    const failed = span.status.code === "ERROR" ? "! " : "";
    const service = printable(span.service);
    const text = `${service}: ${failed}${printable(span.name)}`;
    const label = exactly(text, row.columns.label - short.length);
    const named = label.startsWith(service)
      ? paint(service) + label.slice(service.length)
      : paint(label);
    const { kind, offset, length, gap, bar } = row.of(node, this.#skewOf(node) > 0n);
    const cells = [this.#colors.dim(short) + named, this.#colors.dim(kind), offset, length];
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

  #write(text: string, paint: Paint): void {
    for (const line of wrap(text, this.#width)) this.#lines.push(paint(line));
  }
}

/** The cells behind a label. Wide lines get longer bars; narrow ones none, and kinds of three letters. */
class Row {
  readonly columns: { readonly label: number; readonly kind: number };
  readonly #bar: Bar;
  readonly #originNs: bigint;

  constructor(width: number, originNs: bigint, endNs: bigint) {
    const kind = width < 60 ? 3 : 8;
    const bar = width < 72 ? 0 : Math.min(50, Math.floor((width - 40) / 4));
    const taken = 1 + kind + 2 * (1 + timeColumns) + (bar === 0 ? 0 : 1 + bar);
    this.columns = { label: width - taken, kind };
    this.#originNs = originNs;
    this.#bar = new Bar(bar, originNs, endNs);
  }

  of({ span }: Node, isSkewed: boolean) {
    const { startNs } = span;
    // Hostile or broken data may end before it begins.
    const lengthNs = span.endNs > startNs ? span.endNs - startNs : 0n;
    const offset = `${isSkewed ? "~" : ""}+${duration(startNs - this.#originNs)}`;
    const { gap, body } = this.#bar.of(startNs, lengthNs);
    return {
      kind: span.kind.slice(0, this.columns.kind).padEnd(this.columns.kind),
      offset: truncate(offset, timeColumns).padStart(timeColumns),
      length: truncate(duration(lengthNs), timeColumns).padStart(timeColumns),
      gap,
      bar: body,
    };
  }
}

const timeColumns = 8;

// Deep down the lines of the tree would leave no room for words: the nearest ones are kept.
function shorten(lead: string, columns: number): string {
  const room = Math.max(4, Math.floor(columns));
  return stringWidth(lead) <= room ? lead : `…${lead.slice(1 - room)}`;
}

function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? "" : "s"}`;
}
