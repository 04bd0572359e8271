import { errorMonitor } from "node:events";
import { isPromise } from "node:util/types";
import { type Context, context } from "@opentelemetry/api";

/**
 * Hands on what a function returned and tells when it is finished: at once for a plain value, later for a
 * promise, an iterator, or a Node stream. Each step of an iterator runs in the given context.
 *
 * A promise comes back as one that settles alike, after `done` or `fail` was called; an iterator comes back
 * wrapped; a stream comes back as it is. What is finished may be told so again: a stream ends, then closes.
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
  if (isThenable(result)) return watchPromise(result, done, fail);
  if (isStream(result)) {
    watchStream(result, done, fail);
    return result;
  }
  if (isIterator(result)) {
    const Watched = Symbol.asyncIterator in result ? WatchedAsync : WatchedSync;
    return new Watched(result, active, done, fail);
  }
  done();
  return result;
}

// Not `instanceof Promise`: a sandbox, a test runner's for one, has a class of its own, and so have libraries.
function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    "then" in value &&
    typeof value.then === "function"
  );
}

function watchPromise(
  promise: PromiseLike<unknown>,
  done: (value: unknown) => void,
  fail: (error: unknown) => void,
): PromiseLike<unknown> {
  // What is no real promise may run anew with each `then`, and give nothing back: it is asked once.
  return (isPromise(promise) ? promise : Promise.resolve(promise)).then(
    (value) => {
      done(value);
      return value;
    },
    (error: unknown) => {
      fail(error);
      throw error;
    },
  );
}

interface StreamLike {
  once(event: string | symbol, listener: (error: unknown) => void): unknown;
  readonly pipe: unknown;
  readonly readable?: unknown;
  readonly writable?: unknown;
  readonly closed?: unknown;
  readonly errored?: unknown;
}

function isStream(value: object): value is StreamLike {
  return (
    "pipe" in value &&
    typeof value.pipe === "function" &&
    "once" in value &&
    typeof value.once === "function"
  );
}

function watchStream(stream: StreamLike, done: () => void, fail: (error: unknown) => void): void {
  if (stream.closed === true) {
    if (stream.errored) fail(stream.errored);
    else done();
    return;
  }
  // `errorMonitor` sees the error without being the handler that a stream must have.
  stream.once(errorMonitor, fail);
  stream.once("close", done);
  // Streams of older libraries, and those told to, do not close: they are over when both of their sides are.
  let sides = Number(stream.readable === true) + Number(stream.writable === true);
  const sideDone = (): void => {
    sides--;
    if (sides === 0) done();
  };
  if (stream.readable === true) stream.once("end", sideDone);
  if (stream.writable === true) stream.once("finish", sideDone);
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
