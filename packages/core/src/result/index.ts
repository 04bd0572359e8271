import type { Context } from "@opentelemetry/api";
import { isIterator, watchIterator } from "./iterator.js";
import { isThenable, watchPromise } from "./promise.js";
import { isStream, watchStream } from "./stream.js";

/**
 * Hands on what a function returned and tells when it is finished: at once for a plain value, later for a
 * promise, an iterator, or a Node stream. Each step of an iterator runs in the given context.
 *
 * A promise comes back as one that settles alike, after `onDone` or `onError` was called; an iterator comes back
 * wrapped; a stream comes back as it is. What is finished may be told so again: a stream ends, then closes.
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
