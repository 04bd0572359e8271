import { type Context, context } from "@opentelemetry/api";
import { isThenable, watchPromise } from "./promise.js";

/** An iterator, sync or async, of a generator or of a library's own. */
interface IteratorLike {
  next(value?: unknown): unknown;
  return?(value?: unknown): unknown;
  throw?(error?: unknown): unknown;
}

/** True for an iterator that is iterable too, as generator functions, async or not, return. Arrays are not. */
export function isIterator(value: object): value is IteratorLike {
  return (
    "next" in value &&
    typeof value.next === "function" &&
    (Symbol.iterator in value || Symbol.asyncIterator in value)
  );
}

/** Wraps an iterator, sync or async, so that each step runs in the context, and its end or failure is called back. */
export function watchIterator(
  inner: IteratorLike,
  stepContext: Context,
  onDone: () => void,
  onError: (error: unknown) => void,
): unknown {
  const Watched = Symbol.asyncIterator in inner ? WatchedAsyncIterator : WatchedIterator;
  return new Watched(inner, stepContext, onDone, onError);
}

abstract class IteratorWatch {
  readonly #inner: IteratorLike;
  readonly #stepContext: Context;
  readonly #onDone: () => void;
  readonly #onError: (error: unknown) => void;

  constructor(
    inner: IteratorLike,
    stepContext: Context,
    onDone: () => void,
    onError: (error: unknown) => void,
  ) {
    this.#inner = inner;
    this.#stepContext = stepContext;
    this.#onDone = onDone;
    this.#onError = onError;
  }

  next(value?: unknown): unknown {
    return this.#step(() => this.#inner.next(value));
  }

  // A loop that is left early calls `return` where there is one. The wrapper has one in any case, to learn of it.
  return(value?: unknown): unknown {
    return this.#step(() =>
      this.#inner.return === undefined
        ? this.resultOf({ done: true, value })
        : this.#inner.return(value),
    );
  }

  throw(error?: unknown): unknown {
    return this.#step(() => {
      if (this.#inner.throw === undefined) return this.failWith(error);
      return this.#inner.throw(error);
    });
  }

  /** Returns an iterator result: itself, or as a promise. */
  abstract resultOf(result: unknown): unknown;
  /** Fails: throws the error, or returns a rejected promise. */
  abstract failWith(error: unknown): unknown;

  #step(advance: () => unknown): unknown {
    let result: unknown;
    try {
      result = context.with(this.#stepContext, advance);
    } catch (error) {
      this.#onError(error);
      throw error;
    }
    if (isThenable(result)) return watchPromise(result, this.#checkDone, this.#onError);
    this.#checkDone(result);
    return result;
  }

  readonly #checkDone = (result: unknown): void => {
    if (typeof result === "object" && result !== null && "done" in result && result.done === true) {
      this.#onDone();
    }
  };
}

class WatchedIterator extends IteratorWatch {
  resultOf(result: unknown): unknown {
    return result;
  }

  failWith(error: unknown): unknown {
    throw error;
  }

  [Symbol.iterator](): this {
    return this;
  }
}

class WatchedAsyncIterator extends IteratorWatch {
  resultOf(result: unknown): unknown {
    return Promise.resolve(result);
  }

  failWith(error: unknown): unknown {
    return Promise.reject(error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
