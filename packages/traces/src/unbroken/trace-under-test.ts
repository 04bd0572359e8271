import type { Trace } from "../assemble.js";
import { isHop } from "../diagnose/world.js";
import type { Span } from "../span.js";
import type { TraceSet } from "./trace-set.js";

/** The trace that is evaluated; where links are allowed, together with the traces that it is linked to. */
export class TraceUnderTest {
  readonly trace: Trace;
  readonly spans: readonly Span[];
  readonly services: readonly string[];
  readonly #traces: ReadonlyMap<string, Trace>;
  readonly #linked = new Map<Span, Span[]>();

  /** @param linkedTraces - where linked traces are looked up; links are not followed without it */
  constructor(trace: Trace, linkedTraces?: TraceSet) {
    this.trace = trace;
    const traces = new Map([[trace.traceId, trace]]);
    // A Map may grow while it is iterated: links of linked traces are followed too.
    for (const [traceId] of traces) {
      for (const { exit, entry } of linkedTraces?.linksOn(traceId) ?? []) {
        if (exit?.traceId !== traceId || entry === undefined) continue;
        const lower = linkedTraces?.traceOf(entry.traceId);
        if (lower === undefined) continue;
        traces.set(lower.traceId, lower);
        this.#linked.set(exit, [...(this.#linked.get(exit) ?? []), entry]);
      }
    }
    this.#traces = traces;
    this.spans = [...traces.values()].flatMap((each) => each.spans);
    this.services = [...new Set(this.spans.map((span) => span.service))];
  }

  /** The ids of the trace and of its linked traces. */
  get traceIds(): Iterable<string> {
    return this.#traces.keys();
  }

  /** True when the span belongs to the trace or to a linked one. */
  has(span: Span | undefined): boolean {
    return span !== undefined && this.#traces.has(span.traceId);
  }

  /** The parent of a span; undefined for a root and for an orphan. */
  parentOf(span: Span): Span | undefined {
    return this.#traces.get(span.traceId)?.byId.get(span.parentSpanId ?? "");
  }

  /** The spans that continue this one in another process, and those that link to it. */
  hopsFrom(span: Span): Span[] {
    const hops = this.#childrenOf(span).filter((child) => isHop(span, child));
    return [...hops, ...(this.#linked.get(span) ?? [])];
  }

  /** The span and its descendants in the same process. */
  *withinProcess(span: Span): Generator<Span> {
    const open = [span];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      yield next;
      for (const child of this.#childrenOf(next)) if (!isHop(next, child)) open.push(child);
    }
  }

  /** The spans with which processes begin their part: those without a parent, or with one in another process. */
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
