import type { Context } from "@opentelemetry/api";
import { isIterator, watchIterator } from "./iterator.js";
import { isThenable, watchPromise } from "./promise.js";
import { isStream, watchStream } from "./stream.js";

/**
 * Returns the result of a function, and calls back when it is finished: at once for a plain value, later for a
 * promise, an iterator, or a Node stream. Each step of an iterator runs in the given context.
 *
 * A promise is returned as one that settles alike, after `onDone` or `onError` was called; an iterator is returned
 * wrapped; a stream is returned as it is. The callbacks may be called more than once: a stream ends, then closes.
 */
export function watchResult<T>(
  result: T,
  stepContext: Context,
  onDone: () => void,
  onError: (error: unknown) => void,
): T;
export function watchResult(
  result: unknown,
  stepContext: Context,
  onDone: () => void,
  onError: (error: unknown) => void,
): unknown {
  if (typeof result !== "object" || result === null) {
    onDone();
    return result;
  }
  if (isThenable(result)) return watchPromise(result, onDone, onError);
  if (isStream(result)) {
    watchStream(result, onDone, onError);
    return result;
  }
  if (isIterator(result)) return watchIterator(result, stepContext, onDone, onError);
  onDone();
  return result;
}
