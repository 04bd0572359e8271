import { type Context, createContextKey } from "@opentelemetry/api";
import type { ActiveSpan, Reporter } from "@traceferry/core";

const ENTRY = createContextKey("traceferry nestjs entry");

/** How the span of a message ends. */
export interface Ending {
  readonly open: ActiveSpan;
  readonly reporter: Reporter;
  /** Notes on the span what is known in the end; it is ended then. */
  tell(entry: Entry, open: ActiveSpan): void;
}

/**
 * One message on its way through Nest. Hooks and interceptors of one process meet it in the context, so that
 * none of them begins a second span for it.
 */
export class Entry {
  /** The request, RPC context or metadata that this is about. */
  readonly message: object;
  /** What the handler failed with, when `failed` is true. */
  error: unknown;
  failed = false;
  /** On which object the framework notes the route of a request. */
  routed: unknown;
  #ending: Ending | undefined;
  #holds = 0;

  /** @param ending - none where the message is ignored, or has somebody else's span */
  constructor(message: object, ending?: Ending) {
    this.message = message;
    this.#ending = ending;
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

  /** Ends the span, whoever still holds it. Never throws: it is called from events and from hooks. */
  finish(): void {
    const ending = this.#ending;
    if (ending === undefined) return;
    this.#ending = undefined;
    try {
      ending.tell(this, ending.open);
    } catch (error) {
      ending.reporter.fault("finish", error);
    }
    ending.open.end();
  }

  /** The context in which others find this. */
  in(context: Context): Context {
    return context.setValue(ENTRY, this);
  }
}

/** The entry of exactly this message, when somebody made one. */
export function entryOf(context: Context, message: object): Entry | undefined {
  const found = context.getValue(ENTRY);
  return found instanceof Entry && found.message === message ? found : undefined;
}
