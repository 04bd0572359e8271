import { describe, inject } from "vitest";
import type { EngineKind } from "../engines/index.js";

export interface Addresses {
  readonly kind: EngineKind;
  readonly kafkaBrokers: string[];
  readonly redisUrl: string;
}

/** Where the suite's engines are. @throws why there are none */
export function engines(): Addresses {
  const given = inject("engines");
  if ("missing" in given) throw new Error(given.missing);
  return given;
}

/**
 * A group of tests that need Kafka and Redis. Where no engines can be had it is reported as skipped, with the
 * reason in its title; in CI it runs all the same, and fails with that reason.
 */
export function describeWithEngines(title: string, tests: () => void): void {
  const given = inject("engines");
  if ("missing" in given && process.env.CI === undefined) {
    describe.skip(`${title} (skipped: ${reasonsIn(given.missing)})`, tests);
  } else {
    describe(title, tests);
  }
}

/** The lines of the message that say what is missing, as one. */
function reasonsIn(message: string): string {
  const reasons = message.split("\n").filter((line) => /^\s*- /.test(line));
  const lines = reasons.length === 0 ? [message] : reasons;
  return lines.map((line) => line.replace(/^\s*- /, "").trim()).join("; ");
}
