import { inspect } from "node:util";

/** The error for a wrong option, thrown at set-up: it names the option, what it may be, and what it was. */
export function wrongOption(name: string, expected: string, actual: unknown): TypeError {
  return new TypeError(
    `option "${name}" must be ${expected}, but is ${inspect(actual, { depth: 1, maxStringLength: 80 })}`,
  );
}
