import { inspect } from "node:util";
import type { MeterProvider, TextMapPropagator, TracerProvider } from "@opentelemetry/api";

/**
 * The relation of an incoming message to its sender: `"child"` continues the sender's trace, `"link"` begins a
 * new trace that links back to it, `"none"` begins a new trace and keeps nothing.
 */
export type Relation = "child" | "link" | "none";

/** A relation, or a function of the incoming message that decides it. A function that throws means `"link"`. */
export type RelationOption<Message> = Relation | ((message: Message) => Relation);

/** The options of every adapter. All of them may be left out. */
export interface TracingOptions<Message = unknown> {
  /** Makes the spans. Default: the global provider, looked up when a message passes. */
  readonly tracerProvider?: TracerProvider;
  /** Counts extractions, injections and faults. Default: the global provider, looked up when a message passes. */
  readonly meterProvider?: MeterProvider;
  /** Reads and writes the headers. Default: the global propagator. `w3cPropagator()` is the strict one. */
  readonly propagator?: TextMapPropagator;
  /**
   * The relation of an incoming message to its sender: continue its trace (`"child"`), begin a new one that
   * links back to it (`"link"`), or forget it (`"none"`); or a function of the message that returns one of these.
   * A function that throws, or returns anything else, means `"link"`: nothing is trusted and nothing is lost.
   * Default: `"child"`.
   */
  readonly relation?: RelationOption<Message>;
  /**
   * The baggage that is accepted and sent: all, none, or the entries of these names. With the relations
   * `"link"` and `"none"` an incoming entry is accepted only when it is named here. Default: `true`.
   */
  readonly baggage?: boolean | readonly string[];
  /**
   * The most bytes that the injected fields, names included, may add to one outgoing message. Baggage is dropped
   * first, from its end and in whole members, then tracestate; traceparent always stays. `Infinity` lifts the limit.
   * Default: 4096 for gRPC, 8192 elsewhere.
   */
  readonly maxBytes?: number;
}

const RELATIONS: ReadonlySet<unknown> = new Set(["child", "link", "none"]);

/** Checks the options of every adapter. @throws TypeError that names the wrong option and its value. */
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

/** True for one of the three relations. */
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

/** Makes the error for a wrong option, to be thrown at set-up: it names the option, what it may be, and its value. */
export function wrongOption(name: string, expected: string, actual: unknown): TypeError {
  return new TypeError(
    `option "${name}" must be ${expected}, but is ${inspect(actual, { depth: 1, maxStringLength: 80 })}`,
  );
}
