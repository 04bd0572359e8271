import { execa } from "execa";
import type { Run } from "../scope.js";
import { withProgress } from "../waiting.js";

/** True when the mvn command works here. */
export async function hasMaven(): Promise<boolean> {
  const result = await execa("mvn", ["--version"], { reject: false, timeout: 20_000 });
  return !result.failed;
}

/** Runs Maven quietly; the error shows the last it said. */
export async function maven(run: Run, what: string, goal: readonly string[]): Promise<void> {
  run.signal.throwIfAborted();
  const mvn = execa("mvn", ["--quiet", "--batch-mode", "-Dstyle.color=never", ...goal], {
    stdin: "ignore",
    all: true,
    reject: false,
    cancelSignal: run.signal,
    forceKillAfterDelay: 2_000,
  });
  if (mvn.pid !== undefined) run.guard.kills(mvn.pid);
  const result = await withProgress(run.say, `${what}: fetching from Maven Central`, () => mvn);
  run.signal.throwIfAborted();
  if (!result.failed) return;
  const said = result.all.trim().split("\n").slice(0, 8).join("\n  ");
  throw new Error(`${what} could not be fetched from Maven Central. Maven said:\n  ${said}`);
}
