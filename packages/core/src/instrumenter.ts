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

/** What an adapter says of itself, once. */
export interface InstrumenterSettings {
  /** The name in counters and warnings: `"kafka"`. */
  readonly name: string;
  /** The instrumentation scope: `"@traceferry/kafka"`, and the version of that package. */
  readonly scope: string;
  readonly version: string;
  /** Whether a span that continues its sender also links it, as the messaging conventions ask. */
  readonly messaging: boolean;
  /** The default of the option `maxBytes`. */
  readonly maxBytes: number;
}

/** A message has come in: where its span begins. */
export interface ExtractionResult {
  /** The context to start the span in. */
  readonly parent: Context;
  readonly links: Link[];
  /** The sender's span context, as far as the headers say: also when it is not continued. */
  readonly remoteParent: SpanContext | undefined;
  /** `traceferry.extraction` and its reason, for a span that did not continue a sender; else undefined. */
  readonly attributes: Attributes | undefined;
  /** A live span that somebody else made for this very message: make none, run where you are, which is `parent`. */
  readonly spanInProgress: Span | undefined;
}

/**
 * One side of an adapter towards one transport: its options, checked, and the three acts that every adapter
 * is made of. None of them throws; what goes wrong is reported and counted.
 */
export class Instrumenter<Message = unknown> {
  readonly reporter: Reporter;
  readonly #settings: InstrumenterSettings;
  readonly #counters: PropagationCounters;
  readonly #propagator: TextMapPropagator;
  readonly #tracerProvider: TracerProvider | undefined;
  readonly #relation: RelationOption<Message>;
  readonly #baggage: boolean | readonly string[];
  readonly #maxBytes: number;
  // The global provider's tracer, kept while that provider is the same.
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
   * Reads the sender of a message that came in and says where its span begins.
   *
   * @param message - what the option `relation` is asked about
   * @param active - the context that is active where the message arrived; default the active one
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
      return { parent, links, remoteParent, attributes: undefined, spanInProgress };
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
    // Baggage may come without a sender; it is trusted no more than it would be with one.
    const trusted =
      propagation.getBaggage(remote) === undefined || this.#relationOf(message) === "child";
    const parent = trusted
      ? filterBaggage(remote, this.#baggage)
      : this.#withAllowedBaggage(base, remote);
    return this.#newTrace(status === "invalid" ? "invalid" : "missing", reason, parent);
  }

  /** Counts an extraction that continues no sender, and gives the attributes with which the span says so. */
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

  // The span is somebody else's, and so is what it throws.
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

  /** The base with the entries of a stranger's baggage that the option names, one by one; with `true` none are. */
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

  /** What to put into a message that goes out in this context; `undefined`: nothing, leave it as it is. */
  inject(from: Context = context.active()): Injection | undefined {
    let injection: Injection | undefined;
    try {
      // Not every propagator looks, and an exporter's own calls would be traced without end.
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

  // What users meet first: spans are there, and no message ever carries anything.
  #warnWithoutPropagator(from: Context): void {
    if (this.#propagator !== propagation || propagation.fields().length > 0) return;
    if (trace.getSpanContext(from) === undefined) return;
    this.reporter.once(
      "inject",
      "no propagator is registered, so no context is ever sent; call propagation.setGlobalPropagator(w3cPropagator()) at start-up",
    );
  }

  /** Begins a span. @param extraction - of the message it is for; the span tells it. */
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
 * Whether it is a live entry span whose parent is the sender: somebody else made it for this message.
 *
 * @throws what somebody else's span throws.
 */
export function isSpanForMessage(span: Span, remoteParent: SpanContext): boolean {
  if (!span.isRecording()) return false;
  // The SDK's own fields, of both lines; the API has no way to ask for a kind or a parent.
  const kind: unknown = Reflect.get(span, "kind");
  if (kind !== SpanKind.SERVER && kind !== SpanKind.CONSUMER) return false;
  if (span.spanContext().traceId !== remoteParent.traceId) return false;
  const parent: unknown = Reflect.get(span, "parentSpanContext");
  return Reflect.get(Object(parent), "spanId") === remoteParent.spanId;
}
