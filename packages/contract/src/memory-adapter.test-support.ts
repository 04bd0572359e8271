import {
  type Attributes,
  type Context,
  context,
  type Link,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type TextMapGetter,
  type TextMapSetter,
  trace,
} from "@opentelemetry/api";
import type { Headers } from "@traceferry/testkit";
import type { Adapter, Harness, Relation, SentMessage } from "./adapter.js";
import { MemoryInstrumentation, spanAttributes } from "./memory-instrumentation.test-support.js";
import { strictPropagator } from "./memory-propagator.test-support.js";

const OUTCOMES = { child: "continued", link: "linked", none: "ignored" } as const;
const MAX_BYTES = 4096;
const PROPAGATION_FIELDS = ["traceparent", "tracestate", "baggage"];

/** Describes the memory transport to the contract, with an adapter that keeps every promise or with a mutant. */
export function memoryAdapter(
  MemoryAdapter: typeof MemoryHarness = MemoryHarness,
  changes: Partial<Adapter> = {},
): Adapter {
  return {
    name: "memory",
    propagator: strictPropagator,
    incoming: { kind: "CONSUMER", name: "process orders", attributes: spanAttributes("process") },
    outgoing: { kind: "PRODUCER", name: "send orders", attributes: spanAttributes("send") },
    messaging: true,
    maxBytes: MAX_BYTES,
    open: async (options = {}) => new MemoryAdapter(options),
    receivePatched: (harness, headers, handler, patch) =>
      patch(() => harness.receive(headers, handler)),
    ...changes,
  };
}

/** A message of the memory transport. */
export interface Message {
  readonly body: string;
  headers: Headers;
}

/** The place of a message's span in its trace, as the relation to the sender decides it. */
export interface RelatedMessage {
  readonly parent: Context;
  readonly links: Link[];
  readonly attributes: Attributes;
}

/** A transport that is a Map of arrays, with its adapter. Mutants override a step, to do it wrong. */
export class MemoryHarness extends MemoryInstrumentation implements Harness {
  readonly #topics = new Map<string, Message[]>([["orders", []]]);
  #published = 0;

  async receive(headers: Headers, handler: () => unknown): Promise<void> {
    const extracted = this.extract(headers);
    if (this.hasSpanInProgress(extracted)) {
      await handler();
      return;
    }
    const { parent, links, attributes } = this.relate(headers, extracted);
    const span = this.startSpan("process", parent, links, attributes);
    await this.runHandler(this.contextOf(parent, span), span, handler);
  }

  message(headers: Headers, frozen = false): Message {
    const message: Message = { body: "2 x tea", headers: [...headers] };
    Object.freeze(frozen ? message.headers : undefined);
    return frozen ? Object.freeze(message) : message;
  }

  snapshot(message: Message): unknown {
    return structuredClone(message);
  }

  send(message: Message): Promise<SentMessage> {
    return this.sendTo("orders", message);
  }

  async sendUninstrumented(message: Message): Promise<SentMessage> {
    return this.publish("orders", message);
  }

  async sendFailing(message: Message): Promise<void> {
    await this.sendTo("nowhere", message);
  }

  transportSends(): number {
    return this.#published;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#topics.clear();
  }

  protected async runHandler(
    own: Context,
    span: Span | undefined,
    handler: () => unknown,
  ): Promise<void> {
    try {
      await context.with(own, handler);
    } catch (error) {
      this.recordError(span, error);
      throw error;
    } finally {
      this.endSpan(span);
    }
  }

  /** The context that extraction starts from. */
  protected baseContext(): Context {
    return ROOT_CONTEXT;
  }

  protected extract(headers: Headers): Context {
    const base = this.baseContext();
    const carrier = new Map<string, string>();
    for (const [key, value] of headers) {
      const name = this.normalizeName(key);
      const earlier = carrier.get(name);
      carrier.set(name, earlier === undefined ? value : this.combineValues(earlier, value));
    }
    return this.guard(() => this.propagator.extract(base, carrier, mapGetter), base);
  }

  protected normalizeName(key: string): string {
    return key.toLowerCase();
  }

  /** Combines two fields of one name. Two traceparents make a malformed one. */
  protected combineValues(earlier: string, later: string): string {
    return `${earlier},${later}`;
  }

  /** True when another instrumentation's span for the same message is active: a live child of the sender. */
  protected hasSpanInProgress(extracted: Context): boolean {
    const active = trace.getActiveSpan();
    const remoteParent = trace.getSpanContext(extracted);
    if (active === undefined || remoteParent === undefined || !("parentSpanContext" in active)) {
      return false;
    }
    const parent = active.parentSpanContext;
    return (
      typeof parent === "object" &&
      parent !== null &&
      "spanId" in parent &&
      parent.spanId === remoteParent.spanId
    );
  }

  protected relate(headers: Headers, extracted: Context): RelatedMessage {
    const base = this.baseContext();
    const remoteParent = trace.getSpanContext(extracted);
    if (remoteParent === undefined || remoteParent === trace.getSpanContext(base)) {
      const outcome = headers.some((header) => this.isTraceparent(header)) ? "invalid" : "missing";
      this.count("extractions", { outcome });
      return { parent: base, links: [], attributes: this.extractionAttributes(outcome) };
    }
    const link = [{ context: remoteParent }];
    const relation = this.relation();
    const outcome = OUTCOMES[relation];
    this.count("extractions", { outcome });
    if (relation === "child") return { parent: extracted, links: link, attributes: {} };
    return {
      parent: this.newTraceContext(extracted),
      links: relation === "link" ? link : [],
      attributes: this.extractionAttributes(outcome),
    };
  }

  protected isTraceparent([key, value]: Headers[number]): boolean {
    return this.normalizeName(key) === "traceparent" && value !== "";
  }

  protected relation(): Relation {
    const { relation = "child" } = this.options;
    return typeof relation === "function" ? this.guard(relation, "child") : relation;
  }

  protected extractionAttributes(outcome: string): Attributes {
    const reason = outcome === "invalid" ? { "traceferry.extraction.reason": "format" } : {};
    return { "traceferry.extraction": outcome, ...reason };
  }

  /** The context of a new trace, with the baggage entries that an allow-list names. */
  protected newTraceContext(extracted: Context): Context {
    const { baggage } = this.options;
    return Array.isArray(baggage) ? withBaggage(ROOT_CONTEXT, extracted, baggage) : ROOT_CONTEXT;
  }

  protected async sendTo(topic: string, message: Message): Promise<SentMessage> {
    const caller = context.active();
    const span = this.startSpan("send", caller, [], {});
    try {
      const fields = this.inject(this.contextOf(caller, span));
      return this.publish(topic, this.withFields(message, fields));
    } catch (error) {
      this.recordError(span, error);
      throw error;
    } finally {
      this.endSpan(span);
    }
  }

  protected inject(own: Context): Map<string, string> {
    const { baggage = true } = this.options;
    const allowed = Array.isArray(baggage) ? baggage : [];
    const outgoing = baggage === true ? own : withBaggage(own, own, allowed);
    const fields = new Map<string, string>();
    this.guard(() => this.propagator.inject(outgoing, fields, mapSetter), undefined);
    const injected = fields.size;
    this.trimToBudget(fields, this.options.maxBytes ?? MAX_BYTES);
    const outcome = fields.size < injected ? "trimmed" : "injected";
    this.count("injections", { outcome: injected === 0 ? "empty" : outcome });
    return fields;
  }

  protected trimToBudget(fields: Map<string, string>, maxBytes: number): void {
    for (const name of ["baggage", "tracestate"]) {
      const bytes = [...fields].reduce((sum, [key, value]) => sum + key.length + value.length, 0);
      if (bytes > maxBytes) fields.delete(name);
    }
  }

  /** The caller's message where there is nothing to inject, else a copy of it that carries the fields. */
  protected withFields(message: Message, fields: Map<string, string>): Message {
    if (!fields.has("traceparent")) return message;
    const kept = message.headers.filter(([key]) => !PROPAGATION_FIELDS.includes(key.toLowerCase()));
    return { ...message, headers: [...kept, ...fields] };
  }

  protected publish(topic: string, message: Message): SentMessage {
    this.#published++;
    const log = this.#topics.get(topic);
    if (log === undefined) throw new RangeError(`no such topic: ${topic}`);
    log.push(message);
    if (log.length > 100) log.shift();
    return { headers: [...message.headers], body: message.body };
  }
}

const mapGetter: TextMapGetter<Map<string, string>> = {
  get: (carrier, key) => carrier.get(key),
  keys: (carrier) => [...carrier.keys()],
};

const mapSetter: TextMapSetter<Map<string, string>> = {
  set: (carrier, key, value) => carrier.set(key, value),
};

// The base with those baggage entries of another context that are named.
function withBaggage(base: Context, from: Context, names: readonly string[]): Context {
  const entries = propagation.getBaggage(from)?.getAllEntries() ?? [];
  const kept = entries.filter(([name]) => names.includes(name));
  return propagation.setBaggage(base, propagation.createBaggage(Object.fromEntries(kept)));
}
