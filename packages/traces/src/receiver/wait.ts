import type { Span } from "../span.js";
import type { SpanStore } from "./store.js";

/** What to wait for. Everything that is given must have been seen, and then nothing new for `quietMs`. */
export interface WaitOptions {
  /** How long nothing new may arrive before it counts as quiet. Default: 300. */
  readonly quietMs?: number;
  /** When to give up. Default: 15,000. */
  readonly timeoutMs?: number;
  /** Services that must have sent a span. Default: none. */
  readonly services?: readonly string[];
  /** Look at the spans of this trace only; what arrives for others does not disturb the quiet. */
  readonly traceId?: string;
  /** How many spans must have arrived. Default: 1; with 0, quiet alone is enough. */
  readonly atLeast?: number;
  /** How many different traces must have arrived. Default: none in particular. */
  readonly traces?: number;
  /**
   * Asked with all spans of the receiver whenever it is quiet although something is missing: true
   * ends the wait, because what is missing will not come any more. Default: wait for the timeout.
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

/** What was waited for did not arrive. The message names it and describes what did. */
export class WaitTimeoutError extends Error {
  override readonly name = "WaitTimeoutError";
  /** The first part of the message: how long was waited, and what is missing. */
  readonly summary: string;
  /** What had arrived. */
  readonly spans: readonly Span[];

  constructor(summary: string, spans: readonly Span[], picture: string) {
    super(`${summary}\n${picture}`);
    this.summary = summary;
    this.spans = spans;
  }
}

/** Waits on arrivals, without polling. `closed` aborts when no more can arrive. */
export function waitForQuiet(
  store: SpanStore,
  options: WaitOptions,
  describe: DescribeSpans,
  closed: AbortSignal,
): Promise<Span[]> {
  const { quietMs = 300, timeoutMs = 15_000 } = options;
  const wanted = new Wanted(options);
  wanted.see(store.spans);
  return new Promise((resolve, reject) => {
    let quiet: NodeJS.Timeout | undefined;
    let isListening = false;
    const stop = (): void => {
      clearTimeout(quiet);
      clearTimeout(timeout);
      unsubscribe();
      closed.removeEventListener("abort", onClosed);
    };
    const fail = (why: string): void => {
      stop();
      const spans = wanted.of(store.spans);
      const summary = summaryOf(why, wanted.missing());
      reject(new WaitTimeoutError(summary, spans, pictureOf(spans, store.spans, describe)));
    };
    const onQuiet = (): void => {
      isListening = false;
      try {
        if (wanted.missing().length > 0 && options.enough?.(store.spans) !== true) return;
        stop();
        resolve(wanted.of(store.spans));
      } catch (error) {
        stop();
        reject(error);
      }
    };
    const onClosed = (): void => {
      if (wanted.missing().length > 0) fail("the receiver was closed");
      else onQuiet();
    };
    const listen = (): void => {
      isListening = true;
      clearTimeout(quiet);
      quiet = setTimeout(onQuiet, quietMs);
    };
    const timeout = setTimeout(() => fail(`gave up after ${timeoutMs} ms`), timeoutMs);
    const unsubscribe = store.onSpans((spans) => {
      // What is of no interest here may still be what `enough` is waiting for, once this trace is quiet.
      if (wanted.see(spans) || (options.enough !== undefined && !isListening)) listen();
    });
    closed.addEventListener("abort", onClosed);
    if (closed.aborted) onClosed();
    else listen();
  });
}

/** What was asked for and what of it has been seen. */
class Wanted {
  readonly #options: WaitOptions;
  readonly #services = new Set<string>();
  readonly #traces = new Set<string>();
  #count = 0;

  constructor(options: WaitOptions) {
    this.#options = options;
  }

  /** Whether any of the spans matters here. */
  see(spans: readonly Span[]): boolean {
    let any = false;
    for (const span of spans) {
      if (!this.#isOurs(span)) continue;
      any = true;
      this.#count += 1;
      this.#services.add(span.service);
      this.#traces.add(span.traceId);
    }
    return any;
  }

  missing(): string[] {
    const { services = [], atLeast = 1, traces = 0 } = this.#options;
    const missing = services
      .filter((service) => !this.#services.has(service))
      .map((service) => `no span of service "${service}"`);
    if (this.#count < atLeast) missing.push(`${this.#count} of at least ${atLeast} spans`);
    if (this.#traces.size < traces) missing.push(`${this.#traces.size} of ${traces} traces`);
    return missing;
  }

  of(spans: readonly Span[]): Span[] {
    return spans.filter((span) => this.#isOurs(span));
  }

  #isOurs(span: Span): boolean {
    return this.#options.traceId === undefined || span.traceId === this.#options.traceId;
  }
}

function summaryOf(why: string, missing: readonly string[]): string {
  if (missing.length === 0) return `${why}: spans kept arriving, it never was quiet`;
  return [`${why}, missing:`, ...missing.map((item) => `  - ${item}`)].join("\n");
}

function pictureOf(wanted: readonly Span[], all: readonly Span[], describe: DescribeSpans): string {
  if (all.length === 0) return "nothing arrived at all";
  if (wanted.length === 0) {
    return `nothing arrived of this trace, but ${all.length} spans of others`;
  }
  return `what arrived:\n\n${describe(wanted, all)}`;
}

/** Counts the spans of each service. */
export function describeByService(wanted: readonly Span[]): string {
  const counts = new Map<string, number>();
  for (const { service } of wanted) counts.set(service, (counts.get(service) ?? 0) + 1);
  return [...counts]
    .map(([service, count]) => `${service}: ${count} ${count === 1 ? "span" : "spans"}`)
    .join("\n");
}
