import { type Context, createContextKey } from "@opentelemetry/api";
import type { ActiveSpan, Reporter } from "@traceferry/core";

const MESSAGE_SCOPE = createContextKey("traceferry nestjs message scope");

/** How the span of a message ends. */
export interface OnEnd {
  readonly activeSpan: ActiveSpan;
  readonly reporter: Reporter;
  /** Notes on the span what is known in the end; it is ended then. */
  recordEnd(scope: MessageScope, activeSpan: ActiveSpan): void;
}

/**
 * One message on its way through Nest. Hooks and interceptors of one process meet it in the context, so that
 * none of them begins a second span for it.
 */
export class MessageScope {
  /** The request, RPC context or metadata that this is about. */
  readonly message: object;
  /** What the handler failed with, when `failed` is true. */
  error: unknown;
  failed = false;
  /** On which object the framework notes the route of a request. */
  frameworkRequest: unknown;
  #onEnd: OnEnd | undefined;
  #retainCount = 0;

  /** @param onEnd - none where the message is ignored, or has somebody else's span */
  constructor(message: object, onEnd?: OnEnd) {
    this.message = message;
    this.#onEnd = onEnd;
  }

  /** Notes what the handler failed with. The first counts: later ones are what filters made of it. */
  recordError(error: unknown): void {
    if (this.failed) return;
    this.failed = true;
    this.error = error;
  }

  /** Keeps the span open until `release` was called as often. */
  retain(): void {
    this.#retainCount++;
  }

  release(): void {
    this.#retainCount--;
    if (this.#retainCount === 0) this.finish();
  }

  /** Ends the span, whoever still holds it. Never throws: it is called from events and from hooks. */
  finish(): void {
    const onEnd = this.#onEnd;
    if (onEnd === undefined) return;
    this.#onEnd = undefined;
    try {
      onEnd.recordEnd(this, onEnd.activeSpan);
    } catch (error) {
      onEnd.reporter.fault("finish", error);
    }
    onEnd.activeSpan.end();
  }

  /** The context in which others find this. */
  addTo(context: Context): Context {
    return context.setValue(MESSAGE_SCOPE, this);
  }
}

/** The scope of exactly this message, when somebody made one. */
export function findMessageScope(context: Context, message: object): MessageScope | undefined {
  const found = context.getValue(MESSAGE_SCOPE);
  return found instanceof MessageScope && found.message === message ? found : undefined;
}
