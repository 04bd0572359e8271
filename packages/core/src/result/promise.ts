import { isPromise } from "node:util/types";

/** Not `instanceof Promise`: a sandbox, a test runner's for one, has a class of its own, and so have libraries. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    "then" in value &&
    typeof value.then === "function"
  );
}

/** The same promise in effect, which settles after `done` or `fail` was called. */
export function watchPromise(
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
