import { inspect } from "node:util";
import type { MeterProvider, TextMapPropagator, TracerProvider } from "@opentelemetry/api";

/**
 * What an incoming message is to its sender: `"child"` continues the sender's trace, `"link"` begins a new
 * trace that links back to it, `"none"` begins a new trace and keeps nothing.
 */
export type Relation = "child" | "link" | "none";

/** A relation, or a function of the incoming message that decides it. A function that throws means `"link"`. */
export type RelationOption<Message> = Relation | ((message: Message) => Relation);

/** What every adapter takes. All of it may be left out. */
export interface TracingOptions<Message = unknown> {
  /** Makes the spans. Default: the global provider, looked up when a message passes. */
  readonly tracerProvider?: TracerProvider;
  /** Counts extractions, injections and faults. Default: the global provider. */
  readonly meterProvider?: MeterProvider;
  /** Reads and writes the headers. Default: the global propagator; `w3cPropagator()` is the strict one. */
  readonly propagator?: TextMapPropagator;
  /**
   * What an incoming message is to its sender: continue its trace (`"child"`), begin a new one that links
   * back to it (`"link"`), or forget it (`"none"`); or a function of the message that says which. A function
   * that throws, or says anything else, means `"link"`: nothing is trusted and nothing is lost.
   * Default: `"child"`.
   */
  readonly relation?: RelationOption<Message>;
  /**
   * Which baggage passes, in and out: all, none, or the entries of these names. With the relations `"link"`
   * and `"none"` an incoming entry passes only when it is named here. Default: `true`.
   */
  readonly baggage?: boolean | readonly string[];
  /**
   * The most bytes that our fields, names included, may add to one outgoing message. Baggage goes first,
   * from its end and in whole members, then tracestate; traceparent always stays. `Infinity` lifts the limit.
   * Default: 4096 for gRPC, 8192 elsewhere.
   */
  readonly maxBytes?: number;
}

const RELATIONS: ReadonlySet<unknown> = new Set(["child", "link", "none"]);

/** Checks the options every adapter takes. @throws TypeError that names the option and its value. */
export function checkOptions(options: TracingOptions<never>): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`options must be an object, but is ${String(options)}`);
  }
  const { tracerProvider, meterProvider, propagator, relation, baggage, maxBytes } = options;
  if (tracerProvider !== undefined && typeof tracerProvider?.getTracer !== "function") {
    throw wrongOption("tracerProvider", "a TracerProvider", tracerProvider);
  }
  if (meterProvider !== undefined && typeof meterProvider?.getMeter !== "function") {
    throw wrongOption("meterProvider", "a MeterProvider", meterProvider);
  }
  if (propagator !== undefined && !isPropagator(propagator)) {
    throw wrongOption("propagator", "a TextMapPropagator", propagator);
  }
  if (relation !== undefined && typeof relation !== "function" && !isRelation(relation)) {
    throw wrongOption("relation", '"child", "link", "none" or a function', relation);
  }
  if (baggage !== undefined && typeof baggage !== "boolean" && !isNames(baggage)) {
    throw wrongOption("baggage", "true, false or a list of names", baggage);
  }
  if (maxBytes !== undefined && !(typeof maxBytes === "number" && maxBytes > 0)) {
    throw wrongOption("maxBytes", "a number above 0, or Infinity", maxBytes);
  }
}

export function isRelation(value: unknown): value is Relation {
  return RELATIONS.has(value);
}

function isPropagator(value: Partial<TextMapPropagator> | null): boolean {
  return (
    typeof value?.inject === "function" &&
    typeof value.extract === "function" &&
    typeof value.fields === "function"
  );
}

function isNames(value: unknown): boolean {
  return Array.isArray(value) && value.every((name) => typeof name === "string");
}

/** The error for a wrong option, thrown at set-up: it names the option, what it may be, and what it was. */
export function wrongOption(name: string, expected: string, actual: unknown): TypeError {
  return new TypeError(
    `option "${name}" must be ${expected}, but is ${inspect(actual, { depth: 1, maxStringLength: 80 })}`,
  );
}
