import { type Context, context } from "@opentelemetry/api";
import { isThenable, watchPromise } from "./promise.js";

/** What a generator gives, async or not, or somebody's own. */
interface IteratorLike {
  next(value?: unknown): unknown;
  return?(value?: unknown): unknown;
  throw?(error?: unknown): unknown;
}

/** An iterator that is an iterable too: what a generator function, async or not, returns. Arrays are not. */
export function isIterator(value: object): value is IteratorLike {
  return (
    "next" in value &&
    typeof value.next === "function" &&
    (Symbol.iterator in value || Symbol.asyncIterator in value)
  );
}

/** The same iterator in effect, as async or not as it was: each step runs in the context. */
export function watchIterator(
  inner: IteratorLike,
  active: Context,
  done: () => void,
  fail: (error: unknown) => void,
): unknown {
  const Kind = Symbol.asyncIterator in inner ? WatchedAsync : WatchedSync;
  return new Kind(inner, active, done, fail);
}

abstract class Watched {
  readonly #inner: IteratorLike;
  readonly #active: Context;
  readonly #done: () => void;
  readonly #fail: (error: unknown) => void;

  constructor(
    inner: IteratorLike,
    active: Context,
    done: () => void,
    fail: (error: unknown) => void,
  ) {
    this.#inner = inner;
    this.#active = active;
    this.#done = done;
    this.#fail = fail;
  }

  next(value?: unknown): unknown {
    return this.#step(() => this.#inner.next(value));
  }

  // Whoever lets an iterator go calls `return`, and only where there is one: ours hears of it in any case.
  return(value?: unknown): unknown {
    return this.#step(() =>
      this.#inner.return === undefined
        ? this.settled({ done: true, value })
        : this.#inner.return(value),
    );
  }

  throw(error?: unknown): unknown {
    return this.#step(() => {
      if (this.#inner.throw === undefined) return this.failed(error);
      return this.#inner.throw(error);
    });
  }

  /** A result, and a failure, as this kind of iterator gives them. */
  abstract settled(result: unknown): unknown;
  abstract failed(error: unknown): unknown;

  #step(move: () => unknown): unknown {
    let result: unknown;
    try {
      result = context.with(this.#active, move);
    } catch (error) {
      this.#fail(error);
      throw error;
    }
    if (isThenable(result)) return watchPromise(result, this.#look, this.#fail);
    this.#look(result);
    return result;
  }

  readonly #look = (result: unknown): void => {
    if (typeof result === "object" && result !== null && "done" in result && result.done === true) {
      this.#done();
    }
  };
}

class WatchedSync extends Watched {
  settled(result: unknown): unknown {
    return result;
  }

  failed(error: unknown): unknown {
    throw error;
  }

  [Symbol.iterator](): this {
    return this;
  }
}

class WatchedAsync extends Watched {
  settled(result: unknown): unknown {
    return Promise.resolve(result);
  }

  failed(error: unknown): unknown {
    return Promise.reject(error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
