import { diag } from "@opentelemetry/api";
import { BoundaryCounters } from "./counters.js";

// Between two warnings about the same thing. Faults come with messages, so there may be thousands a second.
const QUIET_MS = 60_000;
// Places are few; this only bounds what a caller with made-up names could grow.
const MAX_PLACES = 100;

/**
 * Tells `diag` and the counter `traceferry.faults` that something of ours, or something of the user's that
 * we called, went wrong. It never throws: a fault of ours must not become one of the caller's.
 */
export class Reporter {
  readonly #boundary: string;
  readonly #counters: BoundaryCounters;
  readonly #lastSaid = new Map<string, number>();

  /** @param boundary - the adapter that speaks, for example `"kafka"`. */
  constructor(boundary: string, counters: BoundaryCounters = new BoundaryCounters(boundary)) {
    this.#boundary = boundary;
    this.#counters = counters;
  }

  /**
   * Counts the fault, and says it at most once a minute for each place.
   *
   * @param place - what was being done, for example `"inject"`: few different ones.
   */
  fault(place: string, problem: unknown): void {
    this.#counters.fault(place);
    this.#say(place, problem, QUIET_MS);
  }

  /** Says once in the life of this adapter what the user should know: a set-up that cannot work, for example. */
  once(place: string, message: string): void {
    this.#say(place, message, Number.POSITIVE_INFINITY);
  }

  #say(place: string, problem: unknown, quietMs: number): void {
    try {
      const now = performance.now();
      const last = this.#lastSaid.get(place);
      if (last !== undefined && now - last < quietMs) return;
      if (this.#lastSaid.size >= MAX_PLACES) this.#lastSaid.clear();
      this.#lastSaid.set(place, now);
      diag.warn(`traceferry ${this.#boundary}: ${place}: ${describe(problem)}`);
    } catch {
      // A logger that throws is told nothing more.
    }
  }
}

// Names and messages of errors are cut: they may quote a header of any size.
function describe(problem: unknown): string {
  const text = problem instanceof Error ? `${problem.name}: ${problem.message}` : String(problem);
  return text.slice(0, 300);
}
