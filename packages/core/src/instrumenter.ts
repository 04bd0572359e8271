import {
  type Attributes,
  type Context,
  context,
  type Link,
  propagation,
  type Span,
  type SpanContext,
  SpanKind,
  type TextMapPropagator,
  type Tracer,
  type TracerProvider,
  trace,
} from "@opentelemetry/api";
import type { SanitizingGetter } from "./carrier.js";
import { filterBaggage, isTracingSuppressed, withoutSpan } from "./context.js";
import { type ExtractionOutcome, type InjectionOutcome, PropagationCounters } from "./counters.js";
import { type ExtractedContext, extract } from "./extract.js";
import { type Injection, inject } from "./inject.js";
import {
  checkOptions,
  isRelation,
  type Relation,
  type RelationOption,
  type TracingOptions,
} from "./options.js";
import { Reporter } from "./report.js";
import { ActiveSpan, type SpanPlan } from "./span.js";

/** The constants of an adapter. */
export interface InstrumenterSettings {
  /** The name in metrics and warnings, for example `"kafka"`. */
  readonly name: string;
  /** The name of the instrumentation scope, for example `"@traceferry/kafka"`. */
  readonly scope: string;
  /** The version of the instrumentation scope: that of the adapter's package. */
  readonly version: string;
  /** True for messaging: a span that continues its sender then also links it, as the conventions ask. */
  readonly messaging: boolean;
  /** The default of the option `maxBytes`. */
  readonly maxBytes: number;
}

/** The outcome of extraction for one message: the parent context, the links and the attributes of its span. */
export interface ExtractionResult {
  /** The context to start the span in. */
  readonly parent: Context;
  /** The links of the span: to the sender, or none. */
  readonly links: Link[];
  /** The sender's span context, also when it is not continued; `undefined` when the headers name none. */
  readonly remoteParent: SpanContext | undefined;
  /** `traceferry.extraction` and its reason when the span continues no sender, else `undefined`. */
  readonly attributes: Attributes | undefined;
  /**
   * A live span that another instrumentation made for this very message. Then start no span, and run the handler
   * in the active context, which is `parent`.
   */
  readonly spanInProgress: Span | undefined;
}

/**
 * Does what every adapter does, in one direction of one transport: extracts, injects and starts spans, by the
 * options of the user. Its methods never throw; faults are reported and counted.
 */
export class Instrumenter<Message = unknown> {
  /** Reports and counts faults of the adapter itself. */
  readonly reporter: Reporter;
  readonly #settings: InstrumenterSettings;
  readonly #counters: PropagationCounters;
  readonly #propagator: TextMapPropagator;
  readonly #tracerProvider: TracerProvider | undefined;
  readonly #relation: RelationOption<Message>;
  readonly #baggage: boolean | readonly string[];
  readonly #maxBytes: number;
  // The tracer is kept as long as the provider, which may be the global one, stays the same.
  #provider: TracerProvider | undefined;
  #tracer: Tracer | undefined;

  /** @throws TypeError when an option is wrong; it names the option and its value. */
  constructor(settings: InstrumenterSettings, options: TracingOptions<Message> = {}) {
    checkOptions(options);
    this.#settings = settings;
    this.#counters = new PropagationCounters(settings.name, options.meterProvider);
    this.reporter = new Reporter(settings.name, this.#counters);
    this.#propagator = options.propagator ?? propagation;
    this.#tracerProvider = options.tracerProvider;
    this.#relation = options.relation ?? "child";
    this.#baggage = options.baggage ?? true;
    this.#maxBytes = options.maxBytes ?? settings.maxBytes;
  }

  /**
   * Extracts the sender of an incoming message, and decides how its span begins. Counts the outcome.
   *
   * @param message - passed to the option `relation`
   * @param active - the context in which the message arrived. Default: the active one
   */
  extract<Carrier>(
    carrier: Carrier,
    getter: SanitizingGetter<Carrier>,
    message: Message,
    active: Context = context.active(),
  ): ExtractionResult {
    const base = withoutSpan(active);
    try {
      const extracted = extract(this.#propagator, carrier, getter, base);
      return extracted.remoteParent === undefined
        ? this.#withoutParent(extracted, base, message)
        : this.#withParent(extracted, extracted.remoteParent, base, message, active);
    } catch (error) {
      this.reporter.fault("extract", error);
      return this.#newTrace("invalid", "failed", base);
    }
  }

  #withParent(
    { context: remote, reason }: ExtractedContext,
    remoteParent: SpanContext,
    base: Context,
    message: Message,
    active: Context,
  ): ExtractionResult {
    const spanInProgress = this.#spanInProgress(active, remoteParent);
    if (spanInProgress !== undefined) {
      this.#counters.countExtraction("continued", reason);
      return { parent: active, links: [], remoteParent, attributes: undefined, spanInProgress };
    }
    const relation = this.#relationOf(message);
    if (relation === "child") {
      const parent = filterBaggage(remote, this.#baggage);
      const links = this.#settings.messaging ? [{ context: remoteParent }] : [];
      this.#counters.countExtraction("continued", reason);
      return { parent, links, remoteParent, attributes: undefined, spanInProgress: undefined };
    }
    const parent = this.#withAllowedBaggage(base, remote);
    return relation === "link"
      ? this.#newTrace("linked", "untrusted", parent, remoteParent, [{ context: remoteParent }])
      : this.#newTrace("ignored", "untrusted", parent, remoteParent);
  }

  #withoutParent(
    { context: remote, status, reason }: ExtractedContext,
    base: Context,
    message: Message,
  ): ExtractionResult {
    // Baggage may come without a sender. The relation decides whether to trust it, as it would with one.
    const trusted =
      propagation.getBaggage(remote) === undefined || this.#relationOf(message) === "child";
    const parent = trusted
      ? filterBaggage(remote, this.#baggage)
      : this.#withAllowedBaggage(base, remote);
    return this.#newTrace(status === "invalid" ? "invalid" : "missing", reason, parent);
  }

  /** Counts a message that continues no sender. Its span begins a new trace, and carries the reason as attributes. */
  #newTrace(
    outcome: ExtractionOutcome,
    reason: string | undefined,
    parent: Context,
    remoteParent?: SpanContext,
    links: Link[] = [],
  ): ExtractionResult {
    this.#counters.countExtraction(outcome, reason);
    const attributes = extractionAttributes(outcome, reason);
    return { parent, links, remoteParent, attributes, spanInProgress: undefined };
  }

  // The span is of another instrumentation, and may throw.
  #spanInProgress(active: Context, remoteParent: SpanContext): Span | undefined {
    const span = trace.getSpan(active);
    if (span === undefined) return undefined;
    try {
      return isSpanForMessage(span, remoteParent) ? span : undefined;
    } catch (error) {
      this.reporter.fault("active span", error);
      return undefined;
    }
  }

  /** Adds the sender's baggage entries that the option `baggage` names one by one; `true` names none. */
  #withAllowedBaggage(base: Context, source: Context): Context {
    if (typeof this.#baggage === "boolean") return base;
    const allowed = propagation.getBaggage(filterBaggage(source, this.#baggage));
    return allowed === undefined ? base : propagation.setBaggage(base, allowed);
  }

  #relationOf(message: Message): Relation {
    if (typeof this.#relation !== "function") return this.#relation;
    try {
      const relation: unknown = this.#relation(message);
      if (isRelation(relation)) return relation;
      this.reporter.fault("relation", `no relation: ${String(relation)}`);
    } catch (error) {
      this.reporter.fault("relation", error);
    }
    return "link";
  }

  /**
   * Returns the fields to put into an outgoing message, and counts the outcome. `undefined` means that there is
   * nothing to send: leave the message as it is.
   *
   * @param from - the context to send. Default: the active one
   */
  inject(from: Context = context.active()): Injection | undefined {
    let injection: Injection | undefined;
    try {
      // Not every propagator checks this; an exporter's own calls would be traced without end.
      if (!isTracingSuppressed(from)) {
        injection = inject(this.#propagator, from, this.#baggage, this.#maxBytes);
        if (injection === undefined) this.#warnWithoutPropagator(from);
      }
    } catch (error) {
      this.reporter.fault("inject", error);
    }
    this.#counters.countInjection(injectionOutcome(injection));
    return injection;
  }

  // Without a propagator the spans are there, and no message ever carries a context. Users meet this first.
  #warnWithoutPropagator(from: Context): void {
    if (this.#propagator !== propagation || propagation.fields().length > 0) return;
    if (trace.getSpanContext(from) === undefined) return;
    this.reporter.once(
      "inject",
      "no propagator is registered, so no context is ever sent; call propagation.setGlobalPropagator(w3cPropagator()) at start-up",
    );
  }

  /**
   * Starts a span. Where the tracer fails the span records nothing, and the parent's context is carried on.
   *
   * @param extraction - that of the message which the span is for: adds its attributes to the span
   */
  startSpan(plan: SpanPlan, extraction?: ExtractionResult): ActiveSpan {
    const attributes = extraction?.attributes;
    return new ActiveSpan(
      this.#getTracer,
      attributes === undefined
        ? plan
        : { ...plan, attributes: { ...plan.attributes, ...attributes } },
      this.reporter,
    );
  }

  readonly #getTracer = (): Tracer => {
    const provider = this.#tracerProvider ?? trace.getTracerProvider();
    if (provider !== this.#provider || this.#tracer === undefined) {
      this.#tracer = provider.getTracer(this.#settings.scope, this.#settings.version);
      this.#provider = provider;
    }
    return this.#tracer;
  };
}

function extractionAttributes(outcome: ExtractionOutcome, reason: string | undefined): Attributes {
  return reason === undefined
    ? { "traceferry.extraction": outcome }
    : { "traceferry.extraction": outcome, "traceferry.extraction.reason": reason };
}

function injectionOutcome(injection: Injection | undefined): InjectionOutcome {
  if (injection === undefined) return "empty";
  return injection.trimmed ? "trimmed" : "injected";
}

/**
 * True for a recording SERVER or CONSUMER span whose parent is the sender: another instrumentation made it for
 * this message.
 *
 * @throws what the span throws.
 */
export function isSpanForMessage(span: Span, remoteParent: SpanContext): boolean {
  if (!span.isRecording()) return false;
  // Fields of the spans of SDK 2 and 3; the API has no way to ask for a kind or a parent.
  const kind: unknown = Reflect.get(span, "kind");
  if (kind !== SpanKind.SERVER && kind !== SpanKind.CONSUMER) return false;
  if (span.spanContext().traceId !== remoteParent.traceId) return false;
  const parent: unknown = Reflect.get(span, "parentSpanContext");
  return Reflect.get(Object(parent), "spanId") === remoteParent.spanId;
}
