import type { Trace } from "../assemble.js";
import type { Finding } from "../diagnose/finding.js";

/** All traces that arrived with their findings, indexed by trace: one of thousands is evaluated by its own findings. */
export class TraceSet {
  /** The services of all traces. */
  readonly services: ReadonlySet<string>;
  readonly #traces: ReadonlyMap<string, Trace>;
  readonly #findings = new Map<string, Finding[]>();

  constructor(traces: readonly Trace[], findings: readonly Finding[]) {
    this.services = new Set(traces.flatMap((trace) => trace.services));
    this.#traces = new Map(traces.map((trace) => [trace.traceId, trace]));
    for (const finding of findings) {
      const { exit, entry } = finding;
      for (const traceId of new Set([exit?.traceId, entry?.traceId])) {
        if (traceId === undefined) continue;
        const ofTrace = this.#findings.get(traceId);
        if (ofTrace === undefined) this.#findings.set(traceId, [finding]);
        else ofTrace.push(finding);
      }
    }
  }

  /** The trace with this id; undefined when no span of it arrived. */
  traceOf(traceId: string): Trace | undefined {
    return this.#traces.get(traceId);
  }

  /** The findings on hops into, within and out of these traces, each once. */
  findingsOn(traceIds: Iterable<string>): Finding[] {
    return [...new Set([...traceIds].flatMap((traceId) => this.#findings.get(traceId) ?? []))];
  }

  /** The links out of a trace and into it. */
  linksOn(traceId: string): Finding[] {
    return this.findingsOn([traceId]).filter(({ linked }) => linked);
  }
}
