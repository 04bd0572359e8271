import type { Trace } from "../assemble.js";
import { isHop } from "../diagnose/world.js";
import type { Span } from "../span.js";
import type { Surroundings } from "./trace-set.js";

/** One trace under judgement; where links are allowed, with the traces that it is linked to. */
export class Subject {
  readonly trace: Trace;
  readonly spans: readonly Span[];
  readonly services: readonly string[];
  readonly #traces: ReadonlyMap<string, Trace>;
  readonly #linked = new Map<Span, Span[]>();

  /** @param surroundings - where linked traces are looked up; without it links lead nowhere. */
  constructor(trace: Trace, surroundings?: Surroundings) {
    this.trace = trace;
    const mine = new Map([[trace.traceId, trace]]);
    // A Map may grow while it is walked: links of linked traces are followed too.
    for (const [traceId] of mine) {
      for (const { exit, entry } of surroundings?.linksOn(traceId) ?? []) {
        if (exit?.traceId !== traceId || entry === undefined) continue;
        const lower = surroundings?.traceOf(entry.traceId);
        if (lower === undefined) continue;
        mine.set(lower.traceId, lower);
        this.#linked.set(exit, [...(this.#linked.get(exit) ?? []), entry]);
      }
    }
    this.#traces = mine;
    this.spans = [...mine.values()].flatMap((one) => one.spans);
    this.services = [...new Set(this.spans.map((span) => span.service))];
  }

  get traceIds(): Iterable<string> {
    return this.#traces.keys();
  }

  has(span: Span | undefined): boolean {
    return span !== undefined && this.#traces.has(span.traceId);
  }

  parentOf(span: Span): Span | undefined {
    return this.#traces.get(span.traceId)?.byId.get(span.parentSpanId ?? "");
  }

  /** What continues the span in another process, and what is linked to it. */
  hopsFrom(span: Span): Span[] {
    const hops = this.#childrenOf(span).filter((child) => isHop(span, child));
    return [...hops, ...(this.#linked.get(span) ?? [])];
  }

  /** The span and everything below it that the same process did in the same call. */
  *within(span: Span): Generator<Span> {
    const open = [span];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      yield next;
      for (const child of this.#childrenOf(next)) if (!isHop(next, child)) open.push(child);
    }
  }

  /** The spans with which processes begin their part: the tops, and what came in from another process. */
  entries(): Span[] {
    return this.spans.filter((span) => {
      const parent = this.parentOf(span);
      return parent === undefined || isHop(parent, span);
    });
  }

  #childrenOf(span: Span): readonly Span[] {
    return this.#traces.get(span.traceId)?.children.get(span.spanId) ?? [];
  }
}
