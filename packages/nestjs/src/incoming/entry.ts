import { type Context, createContextKey } from "@opentelemetry/api";
import type { OpenSpan } from "@traceferry/core";

const ENTRY = createContextKey("traceferry nestjs entry");

/**
 * One message on its way through Nest. Hooks and interceptors of one process meet it in the context, so that
 * none of them begins a second span for it.
 */
export class Entry {
  /** The request, RPC context or metadata that this is about. */
  readonly message: object;
  /** None where the message is ignored, or has somebody else's span. */
  readonly open: OpenSpan | undefined;
  /** What the handler failed with, when `failed` is true. */
  error: unknown;
  failed = false;
  /** On which object the framework notes the route of a request. */
  routed: unknown;
  readonly #finish: ((entry: Entry) => void) | undefined;
  #holds = 0;

  /** @param finish - sets what is known in the end, and ends the span; called when the last hold is gone */
  constructor(message: object, open?: OpenSpan, finish?: (entry: Entry) => void) {
    this.message = message;
    this.open = open;
    this.#finish = finish;
  }

  /** Notes what the handler failed with. The first counts: later ones are what filters made of it. */
  note(error: unknown): void {
    if (this.failed) return;
    this.failed = true;
    this.error = error;
  }

  /** Keeps the span open until `release` was called as often. */
  hold(): void {
    this.#holds++;
  }

  release(): void {
    this.#holds--;
    if (this.#holds === 0) this.finish();
  }

  /** Ends the span, whoever still holds it. */
  finish(): void {
    this.#finish?.(this);
  }

  /** The context in which others find this. */
  in(context: Context): Context {
    return context.setValue(ENTRY, this);
  }
}

/** The entry of exactly this message, when somebody made one. */
export function entryOf(context: Context, message: object): Entry | undefined {
  const entry = currentEntry(context);
  return entry?.message === message ? entry : undefined;
}

/** The entry of whatever message the context belongs to. */
export function currentEntry(context: Context): Entry | undefined {
  const found = context.getValue(ENTRY);
  return found instanceof Entry ? found : undefined;
}
