import { describe } from "vitest";
import { type BinaryName, isBuilt } from "./binaries.js";

/** How long a hook may take that builds these first. */
export const buildTimeoutMs = 15 * 60_000;

/**
 * A group of tests that need these programs. They take minutes to build, so where they are not built the group is
 * reported as skipped, with the reason in its title. With TRACEFERRY_BACKENDS=build it runs, and builds them.
 */
export function describeWithBackends(
  title: string,
  needs: readonly BinaryName[],
  tests: () => void,
): void {
  const missing = needs.filter((name) => !isBuilt(name));
  if (missing.length > 0 && process.env.TRACEFERRY_BACKENDS !== "build") {
    const reason = `${missing.join(" and ")} not built, node integration/dist/backends/build.js does it`;
    describe.skip(`${title} (skipped: ${reason})`, tests);
  } else {
    describe(title, tests);
  }
}
