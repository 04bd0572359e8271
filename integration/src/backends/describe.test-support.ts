import { describe } from "vitest";
import { type BinaryName, isBuilt } from "./binaries.js";

/** How long a hook may take that builds these first. */
export const BUILD_TIMEOUT_MS = 15 * 60_000;

/**
 * Why tests that need these programs are skipped, for their title; undefined when they run. They take minutes to
 * build, so where they are not built the tests are skipped. In CI, and with TRACEFERRY_BACKENDS=build, they run, and
 * build them.
 */
export function missingBackends(needs: readonly BinaryName[]): string | undefined {
  if (process.env.CI !== undefined || process.env.TRACEFERRY_BACKENDS === "build") return undefined;
  const missing = needs.filter((name) => !isBuilt(name));
  if (missing.length === 0) return undefined;
  return `${missing.join(" and ")} not built, node integration/dist/backends/build.js does it`;
}

/** A group of tests that need these programs; where they are skipped, the reason is in its title. */
export function describeWithBackends(
  title: string,
  needs: readonly BinaryName[],
  tests: () => void,
): void {
  const reason = missingBackends(needs);
  if (reason !== undefined) describe.skip(`${title} (skipped: ${reason})`, tests);
  else describe(title, tests);
}
