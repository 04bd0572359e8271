import { execa } from "execa";
import type { Scope } from "../scope.js";
import { withProgress } from "../waiting.js";

/** True when the command mvn works on this machine. */
export async function hasMaven(): Promise<boolean> {
  const result = await execa("mvn", ["--version"], { reject: false, timeout: 20_000 });
  return !result.failed;
}

/** Runs Maven to fetch something. @throws with the first lines of its output */
export async function maven(scope: Scope, what: string, goal: readonly string[]): Promise<void> {
  scope.signal.throwIfAborted();
  const mvn = execa("mvn", ["--quiet", "--batch-mode", "-Dstyle.color=never", ...goal], {
    stdin: "ignore",
    all: true,
    reject: false,
    cancelSignal: scope.signal,
    forceKillAfterDelay: 2_000,
  });
  if (mvn.pid !== undefined) scope.reaper.addProcess(mvn.pid);
  const result = await withProgress(scope.log, `${what}: fetching from Maven Central`, () => mvn);
  scope.signal.throwIfAborted();
  if (!result.failed) return;
  const output = result.all.trim().split("\n").slice(0, 8).join("\n  ");
  throw new Error(`${what} could not be fetched from Maven Central. Maven said:\n  ${output}`);
}
