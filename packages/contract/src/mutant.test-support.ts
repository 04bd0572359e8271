import type { MemoryHarness } from "./memory-adapter.test-support.js";

/** The memory adapter with one step done wrong, and the titles of the cases that must fail. */
export interface Mutant {
  readonly adapter: typeof MemoryHarness;
  readonly caughtBy: readonly string[];
  /** The message that they fail with, where a case has several. */
  readonly because?: RegExp;
}

/** Mutants by what they do, which reads after "an adapter that". */
export type Mutants = Readonly<Record<string, Mutant>>;

// Titles of cases that several mutants are caught by.

/** valid-sender.ts, for the parent of the span. */
export const CONTINUED = "a valid sender is continued";
/** valid-sender.ts, for tracestate and baggage. */
export const STATE_AND_BAGGAGE_KEPT =
  "the sender's tracestate and baggage reach the handler and the next hop";
/** valid-sender.ts, for an absent sender. */
export const NO_SENDER = "a message without a sender starts a new trace";
/** valid-sender.ts, for a broken sender. */
export const restartedBy = (what: string) => `a sender with ${what} starts a new trace`;
/** relation.ts, for `"link"`. */
export const LINKED = 'relation "link" starts a new trace that links the sender';
/** relation.ts, for `"none"`. */
export const IGNORED = 'relation "none" starts a new trace that keeps nothing of the sender';
/** span-ends.ts, for a handler that fails. */
export const failedHandler = (how: string) =>
  `a handler that ${how} ends its span once, with status ERROR, and the transport gets the error`;
/** span-ends.ts, for a send that fails. */
export const FAILED_SEND = "a send that fails ends its span with status ERROR, and rejects";
/** faults.ts, for the part of the telemetry that throws. */
export const reportedFault = (what: string) => `${what} harms no message, and is reported`;
