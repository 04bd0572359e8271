import { execa } from "execa";
import type { Scope } from "../engines/scope.js";
import { withProgress } from "../engines/waiting.js";

const SHOWN_LINES = 25;

/** Runs one step of a build. @throws with the last lines of its output */
export async function runTool(
  scope: Scope,
  what: string,
  command: { readonly file: string; readonly arguments: readonly string[] },
  options: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
): Promise<void> {
  scope.signal.throwIfAborted();
  const child = execa(command.file, command.arguments, {
    ...options,
    stdin: "ignore",
    all: true,
    reject: false,
    cancelSignal: scope.signal,
    forceKillAfterDelay: 2_000,
  });
  if (child.pid !== undefined) scope.reaper.addProcess(child.pid);
  const result = await withProgress(scope.log, what, () => child);
  scope.signal.throwIfAborted();
  if (!result.failed) return;
  const output = String(result.all || result.shortMessage)
    .trim()
    .split("\n")
    .slice(-SHOWN_LINES);
  throw new Error(`${what} failed. ${command.file} said:\n  ${output.join("\n  ")}`);
}

/** The first line that a tool prints about its version. Undefined when it is not installed or does not run. */
export async function versionOf(file: string, ...args: string[]): Promise<string | undefined> {
  const result = await execa(file, args, { all: true, reject: false, timeout: 20_000 });
  return result.failed ? undefined : String(result.all).trim().split("\n")[0];
}
