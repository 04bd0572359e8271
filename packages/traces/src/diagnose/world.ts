import type { Trace } from "../assemble.js";
import { hasRemoteParent, isExit, type Span } from "../span.js";
import { type Address, addressOf } from "./address.js";

/** A parent and a child in two processes, one trace: a hop that held. */
export interface Edge {
  readonly parent: Span;
  readonly child: Span;
  readonly trace: Trace;
}

/** What is known about all spans together, worked out once. */
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
      this.#sends.add(talk(parent.service, this.addressOf(child)));
      this.#reads.add(talk(child.service, this.addressOf(child)));
      this.#propagates.add(parent.service).add(child.service);
    }
  }

  traceOf(traceId: string): Trace | undefined {
    return this.#traceById.get(traceId);
  }

  addressOf(span: Span): Address {
    let address = this.#addresses.get(span);
    if (address === undefined) {
      address = addressOf(span);
      this.#addresses.set(span, address);
    }
    return address;
  }

  /** The services that took up what this span sent. */
  answersTo(exit: Span): ReadonlySet<string> {
    return this.#answered.get(exit) ?? none;
  }

  /** Notes that `service` took it up; a call within a call (HTTP under gRPC) is answered as one. */
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

  /** Whether this service is seen to send its context over such a hop, or can be taken to. */
  sends(exit: Span): boolean {
    if (this.#sends.has(talk(exit.service, this.addressOf(exit)))) return true;
    return this.#propagates.has(exit.service) && isInstrumented(exit);
  }

  /** Whether this service is seen to continue senders over such a hop, or can be taken to. */
  reads(entry: Span): boolean {
    if (this.#reads.has(talk(entry.service, this.addressOf(entry)))) return true;
    return this.#propagates.has(entry.service) && isInstrumented(entry);
  }
}

/** Whether parent and child live in different processes. */
export function isHop(parent: Span, child: Span): boolean {
  if (parent.service !== child.service) return true;
  const { instance } = parent;
  if (instance !== undefined && child.instance !== undefined && instance !== child.instance) {
    return true;
  }
  return hasRemoteParent(child) === true;
}

const none: ReadonlySet<string> = new Set();

function edgesOf(trace: Trace): Edge[] {
  const edges: Edge[] = [];
  for (const child of trace.spans) {
    const parent = trace.byId.get(child.parentSpanId ?? "");
    if (parent !== undefined && isHop(parent, child)) edges.push({ parent, child, trace });
  }
  return edges;
}

function talk(service: string, address: Address): string {
  return JSON.stringify([service, address.system]);
}

// A propagator is registered in the process, for it propagates elsewhere; and this span was made by something
// that always uses it.
function isInstrumented(span: Span): boolean {
  return /^@traceferry\/|opentelemetry.*instrumentation|^io\.opentelemetry\./.test(span.scope.name);
}
