import { errorMonitor } from "node:events";
import { type Context, context } from "@opentelemetry/api";

/**
 * Hands on what a function returned and tells when it is finished: at once for a plain value, later for a
 * promise, an iterator, or a stream. Each step of an iterator runs in the given context.
 *
 * A promise comes back as one that settles alike, after `done` or `fail` was called; an iterator comes back
 * wrapped; a stream comes back as it is.
 */
export function watchResult<T>(
  result: T,
  active: Context,
  done: () => void,
  fail: (error: unknown) => void,
): T;
export function watchResult(
  result: unknown,
  active: Context,
  done: () => void,
  fail: (error: unknown) => void,
): unknown {
  if (typeof result !== "object" || result === null) {
    done();
    return result;
  }
  if (result instanceof Promise) {
    return result.then(
      (value) => {
        done();
        return value;
      },
      (error: unknown) => {
        fail(error);
        throw error;
      },
    );
  }
  if (isStream(result)) {
    // `errorMonitor` sees the error without being the handler that a stream must have.
    result.once(errorMonitor, fail);
    result.once("close", done);
    return result;
  }
  if (isIterator(result)) return new WatchedIterator(result, active, done, fail);
  done();
  return result;
}

interface StreamLike {
  once(event: string | symbol, listener: (error: unknown) => void): unknown;
  readonly pipe: unknown;
}

function isStream(value: object): value is StreamLike {
  return "pipe" in value && typeof value.pipe === "function" && "once" in value;
}

interface IteratorLike {
  next(value?: unknown): unknown;
  return?(value?: unknown): unknown;
  throw?(error?: unknown): unknown;
}

// An iterator that is its own iterable: what a generator function, async or not, returns. Arrays are not.
function isIterator(value: object): value is IteratorLike {
  return (
    "next" in value &&
    typeof value.next === "function" &&
    (Symbol.iterator in value || Symbol.asyncIterator in value)
  );
}

class WatchedIterator {
  readonly #inner: IteratorLike;
  readonly #active: Context;
  readonly #done: () => void;
  readonly #fail: (error: unknown) => void;
  readonly [Symbol.iterator]?: () => this;
  readonly [Symbol.asyncIterator]?: () => this;

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
    // As async or as plain as the iterator was.
    if (Symbol.asyncIterator in inner) this[Symbol.asyncIterator] = () => this;
    else this[Symbol.iterator] = () => this;
  }

  next(value?: unknown): unknown {
    return this.#step(() => this.#inner.next(value));
  }

  return(value?: unknown): unknown {
    if (this.#inner.return === undefined) {
      this.#done();
      return { done: true, value };
    }
    return this.#step(() => this.#inner.return?.(value));
  }

  throw(error?: unknown): unknown {
    if (this.#inner.throw === undefined) {
      this.#fail(error);
      throw error;
    }
    return this.#step(() => this.#inner.throw?.(error));
  }

  #step(move: () => unknown): unknown {
    let result: unknown;
    try {
      result = context.with(this.#active, move);
    } catch (error) {
      this.#fail(error);
      throw error;
    }
    if (!(result instanceof Promise)) {
      this.#settle(result);
      return result;
    }
    return result.then(
      (settled: unknown) => {
        this.#settle(settled);
        return settled;
      },
      (error: unknown) => {
        this.#fail(error);
        throw error;
      },
    );
  }

  #settle(result: unknown): void {
    if (typeof result === "object" && result !== null && "done" in result && result.done === true) {
      this.#done();
    }
  }
}
