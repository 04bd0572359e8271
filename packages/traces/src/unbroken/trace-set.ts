import type { Trace } from "../assemble.js";
import type { Finding } from "../diagnose/finding.js";

/** Everything that arrived, looked up by trace: with thousands of traces each is judged by what concerns it. */
export class Surroundings {
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
        const known = this.#findings.get(traceId);
        if (known === undefined) this.#findings.set(traceId, [finding]);
        else known.push(finding);
      }
    }
  }

  traceOf(traceId: string): Trace | undefined {
    return this.#traces.get(traceId);
  }

  /** What was found on the hops into, within and out of these traces, each once. */
  findingsOn(traceIds: Iterable<string>): Finding[] {
    return [...new Set([...traceIds].flatMap((traceId) => this.#findings.get(traceId) ?? []))];
  }

  /** The links that lead out of a trace, and into it. */
  linksOn(traceId: string): Finding[] {
    return this.findingsOn([traceId]).filter(({ linked }) => linked);
  }
}
