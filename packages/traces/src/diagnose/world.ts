import type { Trace } from "../assemble.js";
import { hasRemoteParent, isExit, type Span } from "../span.js";
import { type Address, addressOf } from "./address.js";

/** A hop within a trace: a parent and a child in two processes. */
export interface Edge {
  readonly parent: Span;
  readonly child: Span;
  readonly trace: Trace;
}

/** The traces with indices over all their spans. */
export class World {
  readonly traces: readonly Trace[];
  readonly edges: readonly Edge[];
  readonly #traceById: ReadonlyMap<string, Trace>;
  readonly #addresses = new Map<Span, Address>();
  readonly #answered = new Map<Span, Set<string>>();
  readonly #sends = new Set<string>();
  readonly #reads = new Set<string>();
  readonly #propagates = new Set<string>();

  constructor(traces: readonly Trace[]) {
    this.traces = traces;
    this.#traceById = new Map(traces.map((trace) => [trace.traceId, trace]));
    this.edges = traces.flatMap(edgesOf);
    for (const { parent, child, trace } of this.edges) {
      this.answer(parent, child.service, trace);
      this.#sends.add(serviceAndSystem(parent.service, this.addressOf(child)));
      this.#reads.add(serviceAndSystem(child.service, this.addressOf(child)));
      this.#propagates.add(parent.service).add(child.service);
    }
  }

  /** The trace with this id. */
  traceOf(traceId: string): Trace | undefined {
    return this.#traceById.get(traceId);
  }

  /** The address of a span, read once. */
  addressOf(span: Span): Address {
    let address = this.#addresses.get(span);
    if (address === undefined) {
      address = addressOf(span);
      this.#addresses.set(span, address);
    }
    return address;
  }

  /** The services that continued or linked to this exit span. */
  answersTo(exit: Span): ReadonlySet<string> {
    return this.#answered.get(exit) ?? NO_SERVICES;
  }

  /** Records that `service` continued an exit span, and so the calls around it (gRPC around its HTTP call). */
  answer(exit: Span, service: string, trace: Trace): void {
    for (let span: Span | undefined = exit; span !== undefined; ) {
      const services = this.#answered.get(span);
      if (services === undefined) this.#answered.set(span, new Set([service]));
      else if (services.has(service)) return;
      else services.add(service);
      const above = trace.byId.get(span.parentSpanId ?? "");
      span = above !== undefined && isExit(above) && !isHop(above, span) ? above : undefined;
    }
  }

  /** True when the service is seen to inject on such hops, or is instrumented and propagates on others. */
  sends(exit: Span): boolean {
    if (this.#sends.has(serviceAndSystem(exit.service, this.addressOf(exit)))) return true;
    return this.#propagates.has(exit.service) && isInstrumented(exit);
  }

  /** True when the service is seen to extract on such hops, or is instrumented and propagates on others. */
  reads(entry: Span): boolean {
    if (this.#reads.has(serviceAndSystem(entry.service, this.addressOf(entry)))) return true;
    return this.#propagates.has(entry.service) && isInstrumented(entry);
  }
}

/** True when parent and child are in different processes. */
export function isHop(parent: Span, child: Span): boolean {
  if (parent.service !== child.service) return true;
  const { instance } = parent;
  if (instance !== undefined && child.instance !== undefined && instance !== child.instance) {
    return true;
  }
  return hasRemoteParent(child) === true;
}

const NO_SERVICES: ReadonlySet<string> = new Set();

function edgesOf(trace: Trace): Edge[] {
  const edges: Edge[] = [];
  for (const child of trace.spans) {
    const parent = trace.byId.get(child.parentSpanId ?? "");
    if (parent !== undefined && isHop(parent, child)) edges.push({ parent, child, trace });
  }
  return edges;
}

function serviceAndSystem(service: string, address: Address): string {
  return JSON.stringify([service, address.system]);
}

// A process that propagates on other hops has a propagator; these instrumentations always use it.
function isInstrumented(span: Span): boolean {
  return /^@traceferry\/|opentelemetry.*instrumentation|^io\.opentelemetry\./.test(span.scope.name);
}
