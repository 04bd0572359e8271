import type { MemoryHarness } from "./memory-adapter.test-support.js";

/** One way to be wrong: a step of the honest adapter done badly, and the titles of the cases that must notice. */
export interface Mutant {
  readonly adapter: typeof MemoryHarness;
  readonly caughtBy: readonly string[];
  /** What they complain of, where a case has several complaints. */
  readonly because?: RegExp;
}

// Titles that several mutants are caught by.
export const CONTINUED = "a valid sender is continued";
export const KEPT = "the sender's tracestate and baggage reach the handler and the next hop";
export const NO_SENDER = "a message without a sender starts a new trace";
export const LINK = 'relation "link" starts a new trace that links the sender';
export const NONE = 'relation "none" starts a new trace that keeps nothing of the sender';
export const failing = (how: string) =>
  `a handler that ${how} ends its span once, with status ERROR, and the transport gets the error`;
export const FAILED_SEND = "a send that fails ends its span with status ERROR, and rejects";
export const reported = (what: string) => `${what} harms no message, and is reported`;
export const restarts = (what: string) => `a sender with ${what} starts a new trace`;
export const LEAK = "1000 messages leave no span, timer, listener or memory behind";
