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

/** The same promise in effect, which settles after `onDone` or `onError` was called. */
export function watchPromise(
  promise: PromiseLike<unknown>,
  onDone: (value: unknown) => void,
  onError: (error: unknown) => void,
): PromiseLike<unknown> {
  // What is no real promise may run anew with each `then`, and give nothing back: it is asked once.
  return (isPromise(promise) ? promise : Promise.resolve(promise)).then(
    (value) => {
      onDone(value);
      return value;
    },
    (error: unknown) => {
      onError(error);
      throw error;
    },
  );
}
