import { context, createContextKey, ROOT_CONTEXT } from "@opentelemetry/api";
import { watchResult } from "./index.js";

const KEY = createContextKey("@traceferry/core test");
const ACTIVE = ROOT_CONTEXT.setValue(KEY, "inside");
export const where = () => context.active().getValue(KEY) ?? "outside";
export const boom = new RangeError("on purpose");

/** Watches a result and writes down what is told, as `"done"` or the error. */
export function watch<T>(result: T): { result: T; told: unknown[] } {
  const told: unknown[] = [];
  const watched = watchResult(
    result,
    ACTIVE,
    () => told.push("done"),
    (error) => told.push(error),
  );
  return { result: watched, told };
}

/** A step, made by hand so that an iterator may have as few methods as it likes. */
export const step = (value: unknown, done = false) => ({ value, done });
