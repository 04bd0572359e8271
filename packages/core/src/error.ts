import { isNativeError } from "node:util/types";

/** Whether it is an Error, also one of another realm: a test runner's sandbox has its own class. */
export function isError(value: unknown): value is Error {
  return isNativeError(value) || value instanceof Error;
}
