import { describe, inject } from "vitest";
import type { EngineKind } from "../engines/index.js";

/** The engines of the suite. */
export interface SuiteAddresses {
  readonly kind: EngineKind;
  readonly kafkaBrokers: string[];
  readonly redisUrl: string;
}

/** The suite's engines. @throws the reason when there are none */
export function engines(): SuiteAddresses {
  const provided = inject("engines");
  if ("missing" in provided) throw new Error(provided.missing);
  return provided;
}

/**
 * Describes a group of tests that need Kafka and Redis. Without engines it is reported as skipped, with the reason in its
 * title. In CI it runs all the same, and fails with that reason.
 */
export function describeWithEngines(title: string, tests: () => void): void {
  const provided = inject("engines");
  if ("missing" in provided && process.env.CI === undefined) {
    describe.skip(`${title} (skipped: ${reasonsIn(provided.missing)})`, tests);
  } else {
    describe(title, tests);
  }
}

/** Joins the lines of the message that say what is missing. */
function reasonsIn(message: string): string {
  const reasons = message.split("\n").filter((line) => /^\s*- /.test(line));
  const lines = reasons.length === 0 ? [message] : reasons;
  return lines.map((line) => line.replace(/^\s*- /, "").trim()).join("; ");
}
