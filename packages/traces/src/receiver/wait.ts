import type { Span } from "../span.js";
import type { SpanStore } from "./store.js";

/** Conditions of a wait. All that are given must be met, and then nothing new may arrive for `quietMs`. */
export interface WaitOptions {
  /** How many milliseconds without a new span count as quiet. Default: 300. */
  readonly quietMs?: number;
  /** After how many milliseconds the wait fails. Default: 15,000. */
  readonly timeoutMs?: number;
  /** Services that must have sent a span. Default: none. */
  readonly services?: readonly string[];
  /** Count the spans of this trace only; spans of others do not interrupt the quiet. Default: all traces. */
  readonly traceId?: string;
  /** How many spans must have arrived. Default: 1; with 0, quiet alone is enough. */
  readonly atLeast?: number;
  /** How many different traces must have arrived. Default: 0. */
  readonly traces?: number;
  /**
   * Called with all spans of the receiver whenever it is quiet although something is missing. True ends the
   * wait, because what is missing will not arrive any more. Default: wait until the timeout.
   */
  readonly enough?: (spans: readonly Span[]) => boolean;
}

/**
 * Describes spans for the message of a `WaitTimeoutError`.
 *
 * @param wanted - the arrived spans that were waited for; never empty
 * @param all - all arrived spans
 */
export type DescribeSpans = (wanted: readonly Span[], all: readonly Span[]) => string;

/** The wait failed. The message names what is missing and describes what arrived. */
export class WaitTimeoutError extends Error {
  override readonly name = "WaitTimeoutError";
  /** The first part of the message: why the wait ended, and what is missing. */
  readonly summary: string;
  /** The arrived spans that were waited for. */
  readonly spans: readonly Span[];

  constructor(summary: string, spans: readonly Span[], description: string) {
    super(`${summary}\n${description}`);
    this.summary = summary;
    this.spans = spans;
  }
}

/**
 * Waits for the store to meet the conditions and become quiet, without polling.
 *
 * @param describe - describes the arrived spans in the message of a `WaitTimeoutError`
 * @param closed - aborts when no more spans can arrive
 * @throws WaitTimeoutError at the timeout, or when something is missing and no more can arrive
 */
export function waitForQuiet(
  store: SpanStore,
  options: WaitOptions,
  describe: DescribeSpans,
  closed: AbortSignal,
): Promise<Span[]> {
  const { quietMs = 300, timeoutMs = 15_000 } = options;
  const progress = new WaitProgress(options);
  progress.add(store.spans);
  return new Promise((resolve, reject) => {
    let quiet: NodeJS.Timeout | undefined;
    let isWaitingForQuiet = false;
    const stop = (): void => {
      clearTimeout(quiet);
      clearTimeout(timeout);
      unsubscribe();
      closed.removeEventListener("abort", onClosed);
    };
    const fail = (why: string): void => {
      stop();
      const spans = progress.select(store.spans);
      const summary = summaryOf(why, progress.missing());
      reject(new WaitTimeoutError(summary, spans, describeArrived(spans, store.spans, describe)));
    };
    const onQuiet = (): void => {
      isWaitingForQuiet = false;
      try {
        if (progress.missing().length > 0 && options.enough?.(store.spans) !== true) return;
        stop();
        resolve(progress.select(store.spans));
      } catch (error) {
        stop();
        reject(error);
      }
    };
    const onClosed = (): void => {
      if (progress.missing().length > 0) fail("the receiver was closed");
      else onQuiet();
    };
    const restartQuiet = (): void => {
      isWaitingForQuiet = true;
      clearTimeout(quiet);
      quiet = setTimeout(onQuiet, quietMs);
    };
    const timeout = setTimeout(() => fail(`gave up after ${timeoutMs} ms`), timeoutMs);
    const unsubscribe = store.onSpans((spans) => {
      // Spans of other traces matter to `enough`, which sees all of them.
      const mayBeEnough = options.enough !== undefined && !isWaitingForQuiet;
      if (progress.add(spans) || mayBeEnough) restartQuiet();
    });
    closed.addEventListener("abort", onClosed);
    if (closed.aborted) onClosed();
    else restartQuiet();
  });
}

/** Counts the arrived spans against the conditions of a wait. */
class WaitProgress {
  readonly #options: WaitOptions;
  readonly #services = new Set<string>();
  readonly #traces = new Set<string>();
  #count = 0;

  constructor(options: WaitOptions) {
    this.#options = options;
  }

  /** Counts the spans. False when none of them is of the trace that is waited for. */
  add(spans: readonly Span[]): boolean {
    let any = false;
    for (const span of spans) {
      if (!this.#isWanted(span)) continue;
      any = true;
      this.#count += 1;
      this.#services.add(span.service);
      this.#traces.add(span.traceId);
    }
    return any;
  }

  /** The conditions that are not met, in words. */
  missing(): string[] {
    const { services = [], atLeast = 1, traces = 0 } = this.#options;
    const missing = services
      .filter((service) => !this.#services.has(service))
      .map((service) => `no span of service "${service}"`);
    if (this.#count < atLeast) missing.push(`${this.#count} of at least ${atLeast} spans`);
    if (this.#traces.size < traces) missing.push(`${this.#traces.size} of ${traces} traces`);
    return missing;
  }

  /** The spans of the trace that is waited for. */
  select(spans: readonly Span[]): Span[] {
    return spans.filter((span) => this.#isWanted(span));
  }

  #isWanted(span: Span): boolean {
    return this.#options.traceId === undefined || span.traceId === this.#options.traceId;
  }
}

function summaryOf(why: string, missing: readonly string[]): string {
  if (missing.length === 0) return `${why}: spans kept arriving, it never was quiet`;
  return [`${why}, missing:`, ...missing.map((item) => `  - ${item}`)].join("\n");
}

function describeArrived(
  wanted: readonly Span[],
  all: readonly Span[],
  describe: DescribeSpans,
): string {
  if (all.length === 0) return "nothing arrived at all";
  if (wanted.length === 0) {
    return `nothing arrived of this trace, but ${all.length} spans of others`;
  }
  return `what arrived:\n\n${describe(wanted, all)}`;
}

/** Describes spans by their number for each service. */
export function describeByService(wanted: readonly Span[]): string {
  const counts = new Map<string, number>();
  for (const { service } of wanted) counts.set(service, (counts.get(service) ?? 0) + 1);
  return [...counts]
    .map(([service, count]) => `${service}: ${count} ${count === 1 ? "span" : "spans"}`)
    .join("\n");
}
