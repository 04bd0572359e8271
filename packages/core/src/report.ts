import { isNativeError } from "node:util/types";
import { diag } from "@opentelemetry/api";
import { PropagationCounters } from "./counters.js";

// Between two warnings about the same operation. Faults come with messages: there may be thousands a second.
const MIN_INTERVAL_MS = 60_000;
// Operations are few. This bounds the memory that a caller with ever new names could take.
const MAX_OPERATIONS = 100;

/**
 * Reports to `diag` and to the counter `traceferry.faults` that something of ours, or something of the user's
 * that we called, went wrong. It never throws: a fault of ours must not become an error of the caller.
 */
export class Reporter {
  readonly #boundary: string;
  readonly #counters: PropagationCounters;
  readonly #lastWarned = new Map<string, number>();
  readonly #warnedOnce = new Set<string>();

  /**
   * @param boundary - the name of the adapter in warnings and metrics, for example `"kafka"`
   * @param counters - default: those of the global meter provider
   */
  constructor(boundary: string, counters: PropagationCounters = new PropagationCounters(boundary)) {
    this.#boundary = boundary;
    this.#counters = counters;
  }

  /**
   * Counts a fault, and warns of it at most once a minute for each operation.
   *
   * @param operation - what was being done, for example `"inject"`. Of low cardinality: a metric attribute
   * @param problem - what was thrown, or a text
   */
  fault(operation: string, problem: unknown): void {
    this.#counters.countFault(operation);
    const now = performance.now();
    const last = this.#lastWarned.get(operation) ?? Number.NEGATIVE_INFINITY;
    if (now - last < MIN_INTERVAL_MS) return;
    if (this.#lastWarned.size >= MAX_OPERATIONS) this.#lastWarned.clear();
    this.#lastWarned.set(operation, now);
    this.#warn(operation, problem);
  }

  /** Warns once in the life of this reporter, for example of a set-up that cannot work. Nothing is counted. */
  once(operation: string, message: string): void {
    if (this.#warnedOnce.has(operation) || this.#warnedOnce.size >= MAX_OPERATIONS) return;
    this.#warnedOnce.add(operation);
    this.#warn(operation, message);
  }

  #warn(operation: string, problem: unknown): void {
    try {
      diag.warn(`traceferry ${this.#boundary}: ${operation}: ${describe(problem)}`);
    } catch {
      // A logger that throws cannot be told so.
    }
  }
}

// Error messages are cut to one line of 300 characters: they may quote what a stranger sent.
function describe(problem: unknown): string {
  try {
    const text = isError(problem) ? `${problem.name}: ${problem.message}` : String(problem);
    return text.slice(0, 300).replace(LINE_BREAKING, " ");
  } catch {
    return "something that cannot be shown";
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the purpose.
const LINE_BREAKING = /[\x00-\x1f\x7f-\x9f\u2028\u2029]/g;

/** True for an Error, also one of another realm: a test runner's sandbox has its own class. */
export function isError(value: unknown): value is Error {
  return isNativeError(value) || value instanceof Error;
}
