import { type Context, createContextKey } from "@opentelemetry/api";
import type { ActiveSpan, Reporter } from "@traceferry/core";

const MESSAGE_SCOPE = createContextKey("traceferry nestjs message scope");

/** The span that ends with a message, and how its outcome is recorded. */
export interface OnEnd {
  readonly activeSpan: ActiveSpan;
  readonly reporter: Reporter;
  /** Records the outcome on the span, which is ended right after. */
  recordEnd(scope: MessageScope, activeSpan: ActiveSpan): void;
}

/**
 * The state of one message while Nest processes it. It lies in the context, where all hooks and interceptors find
 * it, so that none of them starts a second span for the message. It ends the span once.
 */
export class MessageScope {
  /** The HTTP request, RPC context or gRPC metadata that identifies the message. */
  readonly message: object;
  /** The first error that the handler failed with, where `failed` is true. */
  error: unknown;
  /** True when the handler failed. */
  failed = false;
  /** The framework's request object, which knows the route; only for HTTP. */
  frameworkRequest: unknown;
  #onEnd: OnEnd | undefined;
  #retainCount = 0;

  /** @param onEnd - left out where no span of ours ends: the message is ignored, or its span is somebody else's */
  constructor(message: object, onEnd?: OnEnd) {
    this.message = message;
    this.#onEnd = onEnd;
  }

  /** Records the error of the handler. Only the first counts: exception filters make later ones of it. */
  recordError(error: unknown): void {
    if (this.failed) return;
    this.failed = true;
    this.error = error;
  }

  /** Keeps the span open until `release` has been called as often. */
  retain(): void {
    this.#retainCount++;
  }

  /** Undoes one `retain`; the last one ends the span. */
  release(): void {
    this.#retainCount--;
    if (this.#retainCount === 0) this.finish();
  }

  /** Ends the span, even if it is retained. Never throws, because events and hooks call it. */
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

  /** Returns the context with this scope in it, for `findMessageScope`. */
  addTo(context: Context): Context {
    return context.setValue(MESSAGE_SCOPE, this);
  }
}

/** Finds the scope of exactly this message in a context; undefined where there is none, or another message's. */
export function findMessageScope(context: Context, message: object): MessageScope | undefined {
  const scope = context.getValue(MESSAGE_SCOPE);
  return scope instanceof MessageScope && scope.message === message ? scope : undefined;
}
