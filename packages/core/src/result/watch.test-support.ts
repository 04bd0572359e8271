import { context, createContextKey, ROOT_CONTEXT } from "@opentelemetry/api";
import { watchResult } from "./index.js";

const KEY = createContextKey("@traceferry/core test");
const ACTIVE = ROOT_CONTEXT.setValue(KEY, "inside");
/** `"inside"` where the context given to `watch` is active, else `"outside"`. */
export const location = () => context.active().getValue(KEY) ?? "outside";
/** The error that is thrown on purpose. */
export const failure = new RangeError("on purpose");

/** Watches a result and records each callback, as `"done"` or the error. */
export function watch<T>(result: T): { result: T; outcomes: unknown[] } {
  const outcomes: unknown[] = [];
  const watched = watchResult(
    result,
    ACTIVE,
    () => outcomes.push("done"),
    (error) => outcomes.push(error),
  );
  return { result: watched, outcomes };
}

/** An iterator result, made by hand so that an iterator may have as few methods as it likes. */
export const iteratorResult = (value: unknown, done = false) => ({ value, done });
