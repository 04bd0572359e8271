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
    describe.skip(`${title} (skipped: ${given.missing.split("\n", 1)[0]})`, tests);
  } else {
    describe(title, tests);
  }
}
