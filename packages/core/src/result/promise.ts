import { isPromise } from "node:util/types";

/** True for any promise: libraries and other realms, such as test sandboxes, have promise classes of their own. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    "then" in value &&
    typeof value.then === "function"
  );
}

/** Returns a promise that settles as the given one does, after `onDone` or `onError` was called. */
export function watchPromise(
  promise: PromiseLike<unknown>,
  onDone: (value: unknown) => void,
  onError: (error: unknown) => void,
): PromiseLike<unknown> {
  // A thenable that is no real promise may start its work anew with each `then`, and return nothing: call it once.
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
