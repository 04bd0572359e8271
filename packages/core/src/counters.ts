import {
  type Attributes,
  type Counter,
  type MeterProvider,
  type MetricOptions,
  metrics,
} from "@opentelemetry/api";
import { VERSION } from "./version.js";

/** The outcome of extracting the sender of one incoming message. */
export type ExtractionOutcome = "continued" | "linked" | "ignored" | "missing" | "invalid";
/** The outcome of injecting a context into one outgoing message. */
export type InjectionOutcome = "injected" | "trimmed" | "empty";

const EXTRACTIONS: MetricOptions = {
  description: "Incoming messages by what became of their sender's trace context",
  unit: "{message}",
};
const INJECTIONS: MetricOptions = {
  description: "Outgoing messages by what became of the trace context put into them",
  unit: "{message}",
};
const FAULTS: MetricOptions = {
  description: "Faults met while carrying trace context; the messages went on",
  unit: "{fault}",
};

/**
 * The metrics of one adapter: `traceferry.extractions{boundary, outcome, reason}`,
 * `traceferry.injections{boundary, outcome}` and `traceferry.faults{boundary, operation}`. They cost nearly
 * nothing without a meter provider, and never throw.
 */
export class PropagationCounters {
  readonly #boundary: string;
  readonly #extractions: LazyCounter;
  readonly #injections: LazyCounter;
  readonly #faults: LazyCounter;
  // One attribute object for each combination, made once: every message is counted.
  readonly #attributeCache = new Map<string, Attributes>();

  /**
   * @param boundary - the name of the adapter, for example `"kafka"`
   * @param provider - default: the global one, looked up at each count
   */
  constructor(boundary: string, provider?: MeterProvider) {
    this.#boundary = boundary;
    this.#extractions = new LazyCounter("traceferry.extractions", EXTRACTIONS, provider);
    this.#injections = new LazyCounter("traceferry.injections", INJECTIONS, provider);
    this.#faults = new LazyCounter("traceferry.faults", FAULTS, provider);
  }

  /** Counts an incoming message. @param reason - why its sender is lost or not continued, in few words */
  countExtraction(outcome: ExtractionOutcome, reason: string | undefined): void {
    this.#extractions.add(this.#attributesOf(outcome, reason));
  }

  /** Counts an outgoing message. */
  countInjection(outcome: InjectionOutcome): void {
    this.#injections.add(this.#attributesOf(outcome, undefined));
  }

  /** Counts a fault. @param operation - what was being done, for example `"inject"` */
  countFault(operation: string): void {
    this.#faults.add({ boundary: this.#boundary, operation });
  }

  #attributesOf(outcome: string, reason: string | undefined): Attributes {
    // The common case makes no text for each message.
    const key = reason === undefined ? outcome : `${outcome} ${reason}`;
    const cached = this.#attributeCache.get(key);
    if (cached !== undefined) return cached;
    const attributes: Attributes = { boundary: this.#boundary, outcome };
    if (reason !== undefined) attributes.reason = reason;
    this.#attributeCache.set(key, attributes);
    return attributes;
  }
}

/**
 * A counter that never throws. The metrics API has no proxy that would find a provider registered later, so the
 * instrument is made again whenever the global provider has changed.
 */
class LazyCounter {
  readonly #name: string;
  readonly #options: MetricOptions;
  readonly #configuredProvider: MeterProvider | undefined;
  #provider: MeterProvider | undefined;
  #counter: Counter | undefined;

  constructor(name: string, options: MetricOptions, provider: MeterProvider | undefined) {
    this.#name = name;
    this.#options = options;
    this.#configuredProvider = provider;
  }

  add(attributes: Attributes): void {
    try {
      const provider = this.#configuredProvider ?? metrics.getMeterProvider();
      if (provider !== this.#provider) {
        this.#counter = provider
          .getMeter("@traceferry/core", VERSION)
          .createCounter(this.#name, this.#options);
        this.#provider = provider;
      }
      this.#counter?.add(1, attributes);
    } catch {
      // A meter that throws can be counted nowhere, and must not stop the message.
    }
  }
}
