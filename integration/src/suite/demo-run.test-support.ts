import { randomUUID } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { onTestFinished } from "vitest";
import { REPOSITORY_ROOT } from "../engines/paths.js";

const PROGRAM = join(REPOSITORY_ROOT, "integration/dist/demo/main.js");
const MARK_VARIABLE = "FAULT_RUN";
const END_TIMEOUT_MS = 10_000;

/** The result of a program that ended. */
export interface EndedProgram {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** Its processes and files that are still there. */
  readonly left: readonly string[];
}

/** An environment variable by which `processesWith` finds all processes that inherit it. */
export function uniqueMark(): Readonly<Record<string, string>> {
  return { [MARK_VARIABLE]: randomUUID() };
}

/**
 * Lists the processes that have the mark in their environment, or are in the process group, because Redis overwrites its
 * environment with its title. Reads /proc, so it works on Linux only.
 */
export async function processesWith(
  mark: Readonly<Record<string, string>>,
  group?: number,
): Promise<{ readonly pid: number; readonly command: string }[]> {
  const entry = `${MARK_VARIABLE}=${mark[MARK_VARIABLE]}`;
  const read = async (pid: string) => {
    const environment = await readFile(`/proc/${pid}/environ`, "utf8");
    // After the name in parentheses: state, parent, group.
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    const [, , groupOf] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (!environment.split("\0").includes(entry) && Number(groupOf) !== group) return [];
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8");
    return [{ pid: Number(pid), command: command.replaceAll("\0", " ").trim() }];
  };
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  // A process that ended meanwhile cannot be read, and neither can one of another user.
  const found = await Promise.all(pids.map((pid) => read(pid).catch(() => [])));
  return found.flat();
}

/** A run of the demo with a process group, a temporary folder and a mark of its own, by which leftovers are found. */
export class DemoRun {
  readonly #child;
  readonly #mark: Readonly<Record<string, string>>;
  readonly #scratch: string;
  readonly #watchers = new Set<(line: string) => void>();
  readonly #listened: Promise<void>;

  /** Starts the demo. It is killed at the end of the test. */
  static async start(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<DemoRun> {
    const scratch = await mkdtemp(join(tmpdir(), "traceferry-faults-"));
    const run = new DemoRun(args, env, scratch);
    onTestFinished(async () => {
      run.#signal("SIGKILL");
      await rm(scratch, { recursive: true, force: true });
    });
    return run;
  }

  private constructor(
    args: readonly string[],
    env: Readonly<Record<string, string>>,
    scratch: string,
  ) {
    this.#scratch = scratch;
    this.#mark = uniqueMark();
    this.#child = execa(process.execPath, [PROGRAM, ...args], {
      reject: false,
      all: true,
      stdin: "ignore",
      detached: true,
      cleanup: false,
      env: { NO_COLOR: "1", TMPDIR: scratch, ...this.#mark, ...env },
    });
    this.#listened = this.#listen();
  }

  /** Waits for a line of output. @throws when the demo ends first */
  async prints(pattern: RegExp): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<true>();
    const watcher = (line: string): void => {
      if (pattern.test(line)) resolve(true);
    };
    this.#watchers.add(watcher);
    const isSeen = await Promise.race([promise, this.#listened]);
    if (isSeen !== true) throw new Error(`no line ${pattern} in\n${(await this.#child).all}`);
  }

  /** Kills one of its processes, as a crash would. @param command - a part of the command line */
  async crash(command: string): Promise<void> {
    const running = await processesWith(this.#mark, this.#child.pid);
    const [match, ...others] = running.filter((each) => each.command.includes(command));
    if (match === undefined || others.length > 0) {
      throw new Error(`not one process ${command} in ${JSON.stringify(running)}`);
    }
    process.kill(match.pid, "SIGKILL");
  }

  /** Sends SIGINT to every process of the group, as a terminal does on Ctrl-C. */
  interrupt(): void {
    this.#signal("SIGINT");
  }

  /** Waits for its end. @throws when that takes more than 10 seconds */
  async ended(): Promise<EndedProgram> {
    const slow = AbortSignal.timeout(END_TIMEOUT_MS);
    const { promise, reject } = Promise.withResolvers<never>();
    slow.addEventListener("abort", () => reject(new Error("the demo takes more than 10 s to end")));
    const { exitCode, stdout, stderr } = await Promise.race([this.#child, promise]);
    const processes = await processesWith(this.#mark, this.#child.pid);
    const files = await readdir(this.#scratch);
    return { exitCode, stdout, stderr, left: [...processes.map((each) => each.command), ...files] };
  }

  #signal(signal: "SIGINT" | "SIGKILL"): void {
    const { pid } = this.#child;
    if (pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // The group has no process any more.
    }
  }

  async #listen(): Promise<void> {
    for await (const line of this.#child.iterable({ from: "all" })) {
      for (const watcher of this.#watchers) watcher(line);
    }
  }
}
