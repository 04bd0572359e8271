import { describe } from "vitest";
import { type BinaryName, isBuilt } from "./binaries.js";

/** The time limit of a hook that builds the backends. */
export const BUILD_TIMEOUT_MS = 15 * 60_000;

/**
 * The reason why tests that need these programs are skipped, for their title: they are not built, which takes minutes.
 * Undefined when they are, and always in CI and with TRACEFERRY_BACKENDS=build, where the tests build them.
 */
export function missingBackends(needs: readonly BinaryName[]): string | undefined {
  if (process.env.CI !== undefined || process.env.TRACEFERRY_BACKENDS === "build") return undefined;
  const missing = needs.filter((name) => !isBuilt(name));
  if (missing.length === 0) return undefined;
  return `${missing.join(" and ")} not built, node integration/dist/backends/build.js does it`;
}

/** Describes a group of tests that need these programs. When it is skipped, the reason is in its title. */
export function describeWithBackends(
  title: string,
  needs: readonly BinaryName[],
  tests: () => void,
): void {
  const reason = missingBackends(needs);
  if (reason !== undefined) describe.skip(`${title} (skipped: ${reason})`, tests);
  else describe(title, tests);
}
