import {
  type Attributes,
  type Context,
  context,
  diag,
  type Link,
  metrics,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  type TextMapPropagator,
  type TextMapSetter,
  trace,
} from "@opentelemetry/api";
import type { Headers } from "@traceferry/testkit";
import type { Adapter, AdapterOptions, Harness, Relation, SentMessage } from "./adapter.js";
import { strictPropagator } from "./memory-propagator.test-support.js";

/** Describes the memory transport to the contract, with an honest adapter or one with a mutant. */
export function memoryAdapter(
  Kind: typeof MemoryHarness = MemoryHarness,
  changes: Partial<Adapter> = {},
): Adapter {
  return {
    name: "memory",
    propagator: strictPropagator,
    incoming: { kind: "CONSUMER", name: "process orders", attributes: attributesOf("process") },
    outgoing: { kind: "PRODUCER", name: "send orders", attributes: attributesOf("send") },
    messaging: true,
    maxBytes: MAX_BYTES,
    open: async (options = {}) => new Kind(options),
    receivePatched: (harness, headers, handler, patch) =>
      patch(() => harness.receive(headers, handler)),
    ...changes,
  };
}

export interface Message {
  readonly body: string;
  headers: Headers;
}

export type Operation = "process" | "send";

const OUTCOME = { child: "continued", link: "linked", none: "ignored" } as const;
const MAX_BYTES = 4096;
const OURS = ["traceparent", "tracestate", "baggage"];

/**
 * A transport that is a Map of arrays, with an adapter that speaks to the OpenTelemetry API directly: it stands on
 * its own feet, so that it can prove the contract. Each step can be overridden, to be done wrong.
 */
export class MemoryHarness implements Harness {
  protected readonly options: AdapterOptions;
  readonly #topics = new Map<string, Message[]>([["orders", []]]);
  #published = 0;

  constructor(options: AdapterOptions) {
    this.options = options;
  }

  async receive(headers: Headers, handler: () => unknown): Promise<void> {
    const extracted = this.extract(headers);
    if (this.patched(extracted)) {
      await handler();
      return;
    }
    const { parent, links, attributes } = this.relate(headers, extracted);
    const span = this.startSpan("process", parent, links, attributes);
    await this.run(this.contextOf(parent, span), span, handler);
  }

  protected async run(own: Context, span: Span | undefined, handler: () => unknown): Promise<void> {
    try {
      await context.with(own, handler);
    } catch (error) {
      this.fail(span, error);
      throw error;
    } finally {
      this.end(span);
    }
  }

  /** Where nothing is known of a sender. */
  protected base(): Context {
    return ROOT_CONTEXT;
  }

  protected extract(headers: Headers): Context {
    const base = this.base();
    const carrier = new Map<string, string>();
    for (const [key, value] of headers) {
      const name = this.fold(key);
      const earlier = carrier.get(name);
      carrier.set(name, earlier === undefined ? value : this.both(earlier, value));
    }
    return this.guard(() => this.#propagator.extract(base, carrier, fromMap), base);
  }

  protected fold(key: string): string {
    return key.toLowerCase();
  }

  /** Two fields of one name. Two traceparents make one that is malformed. */
  protected both(earlier: string, later: string): string {
    return `${earlier},${later}`;
  }

  /** Whether a span that somebody else made for this very message is active. */
  protected patched(extracted: Context): boolean {
    const active = trace.getActiveSpan();
    const sender = trace.getSpanContext(extracted);
    if (active === undefined || sender === undefined || !("parentSpanContext" in active)) {
      return false;
    }
    const parent = active.parentSpanContext;
    return (
      typeof parent === "object" &&
      parent !== null &&
      "spanId" in parent &&
      parent.spanId === sender.spanId
    );
  }

  protected relate(
    headers: Headers,
    extracted: Context,
  ): { readonly parent: Context; readonly links: Link[]; readonly attributes: Attributes } {
    const sender = trace.getSpanContext(extracted);
    if (sender === undefined || sender === trace.getSpanContext(this.base())) {
      const told = headers.some(([key, value]) => this.fold(key) === "traceparent" && value !== "");
      const attributes = this.note(told ? "invalid" : "missing");
      this.count("extractions", { outcome: told ? "invalid" : "missing" });
      return { parent: this.base(), links: [], attributes };
    }
    const link = [{ context: sender }];
    const relation = this.relation();
    this.count("extractions", { outcome: OUTCOME[relation] });
    if (relation === "child") return { parent: extracted, links: link, attributes: {} };
    return {
      parent: this.allowed(extracted),
      links: relation === "link" ? link : [],
      attributes: this.note(OUTCOME[relation]),
    };
  }

  protected relation(): Relation {
    const { relation = "child" } = this.options;
    return typeof relation === "function" ? this.guard(relation, "child") : relation;
  }

  protected note(extraction: string): Attributes {
    const reason = extraction === "invalid" ? { "traceferry.extraction.reason": "format" } : {};
    return { "traceferry.extraction": extraction, ...reason };
  }

  /** A new trace's context, with the baggage that an allow-list names. */
  protected allowed(extracted: Context): Context {
    const { baggage } = this.options;
    return Array.isArray(baggage) ? withBaggage(ROOT_CONTEXT, extracted, baggage) : ROOT_CONTEXT;
  }

  message(headers: Headers, frozen = false): Message {
    const message: Message = { body: "2 x tea", headers: [...headers] };
    Object.freeze(frozen ? message.headers : undefined);
    return frozen ? Object.freeze(message) : message;
  }

  snapshot(message: Message): unknown {
    return structuredClone(message);
  }

  async sendUninstrumented(message: Message): Promise<SentMessage> {
    return this.publish("orders", message);
  }

  send(message: Message): Promise<SentMessage> {
    return this.sendTo("orders", message);
  }

  transportSends(): number {
    return this.#published;
  }

  async sendFailing(message: Message): Promise<void> {
    await this.sendTo("nowhere", message);
  }

  protected async sendTo(topic: string, message: Message): Promise<SentMessage> {
    const caller = context.active();
    const span = this.startSpan("send", caller, [], {});
    try {
      const fields = this.inject(this.contextOf(caller, span));
      return this.publish(topic, this.write(message, fields));
    } catch (error) {
      this.fail(span, error);
      throw error;
    } finally {
      this.end(span);
    }
  }

  protected inject(own: Context): Map<string, string> {
    const { baggage = true } = this.options;
    const allowed = Array.isArray(baggage) ? baggage : [];
    const outgoing = baggage === true ? own : withBaggage(own, own, allowed);
    const fields = new Map<string, string>();
    this.guard(() => this.#propagator.inject(outgoing, fields, intoMap), undefined);
    const all = fields.size;
    this.trim(fields, this.options.maxBytes ?? MAX_BYTES);
    const outcome = all === 0 ? "empty" : fields.size < all ? "trimmed" : "injected";
    this.count("injections", { outcome });
    return fields;
  }

  protected trim(fields: Map<string, string>, maxBytes: number): void {
    for (const name of ["baggage", "tracestate"]) {
      const bytes = [...fields].reduce((sum, [key, value]) => sum + key.length + value.length, 0);
      if (bytes > maxBytes) fields.delete(name);
    }
  }

  /** What leaves: the caller's message, or a copy of it that carries our fields. */
  protected write(message: Message, fields: Map<string, string>): Message {
    if (!fields.has("traceparent")) return message;
    const kept = message.headers.filter(([key]) => !OURS.includes(key.toLowerCase()));
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

  protected startSpan(
    operation: Operation,
    parent: Context,
    links: Link[],
    attributes: Attributes,
  ): Span | undefined {
    const { tracerProvider = trace } = this.options;
    const kind = operation === "send" ? SpanKind.PRODUCER : SpanKind.CONSUMER;
    const all = { ...attributesOf(operation), ...attributes };
    return this.guard(
      () =>
        tracerProvider
          .getTracer("traceferry.memory")
          .startSpan(`${operation} orders`, { kind, links, attributes: all }, parent),
      undefined,
    );
  }

  protected contextOf(parent: Context, span: Span | undefined): Context {
    return span === undefined ? parent : trace.setSpan(parent, span);
  }

  protected fail(span: Span | undefined, error: unknown): void {
    this.guard(() => {
      span?.setStatus({ code: SpanStatusCode.ERROR });
      span?.setAttribute("error.type", error instanceof Error ? error.name : "_OTHER");
    }, undefined);
  }

  protected end(span: Span | undefined): void {
    this.guard(() => span?.end(), undefined);
  }

  /** Whatever is ours runs in here: it may break, the message may not. */
  protected guard<Result>(step: () => Result, fallback: Result): Result {
    try {
      return step();
    } catch (error) {
      this.report(error);
      return fallback;
    }
  }

  protected count(what: "extractions" | "injections" | "faults", attributes: Attributes): void {
    const { meterProvider = metrics.getMeterProvider() } = this.options;
    try {
      const counter = meterProvider
        .getMeter("traceferry.memory")
        .createCounter(`traceferry.${what}`);
      counter.add(1, { ...attributes, boundary: "memory" });
    } catch {
      // There is no counter for counters.
    }
  }

  protected report(error: unknown): void {
    this.count("faults", {});
    diag.warn(`traceferry memory: ${String(error)}`);
  }

  get #propagator(): Pick<TextMapPropagator, "inject" | "extract"> {
    return (
      this.options.propagator ?? {
        inject: (active, carrier, setter) => propagation.inject(active, carrier, setter),
        extract: (active, carrier, getter) => propagation.extract(active, carrier, getter),
      }
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#topics.clear();
  }
}

const fromMap: TextMapGetter<Map<string, string>> = {
  get: (carrier, key) => carrier.get(key),
  keys: (carrier) => [...carrier.keys()],
};

const intoMap: TextMapSetter<Map<string, string>> = {
  set: (carrier, key, value) => carrier.set(key, value),
};

function attributesOf(operation: Operation): Readonly<Record<string, string>> {
  return { "messaging.system": "memory", "messaging.operation.type": operation };
}

/** The base with those entries of another context's baggage that are named. */
function withBaggage(base: Context, from: Context, names: readonly string[]): Context {
  const entries = propagation.getBaggage(from)?.getAllEntries() ?? [];
  const kept = entries.filter(([name]) => names.includes(name));
  return propagation.setBaggage(base, propagation.createBaggage(Object.fromEntries(kept)));
}
