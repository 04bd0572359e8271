import { randomUUID } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { onTestFinished } from "vitest";
import { REPOSITORY_ROOT } from "../engines/paths.js";

const PROGRAM = join(REPOSITORY_ROOT, "integration/dist/demo/main.js");
const MARK = "FAULT_RUN";
const PATIENCE_MS = 10_000;

/** What a program said and left when it was over. */
export interface EndedProgram {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** Processes and files of the run that are still there. */
  readonly left: readonly string[];
}

/** The environment in which each process started from here can be found again. */
export function uniqueMark(): Readonly<Record<string, string>> {
  return { [MARK]: randomUUID() };
}

/**
 * The processes that have the mark in their environment, or are of that process group: Redis writes its title over
 * its environment. Looks into Linux's /proc.
 */
export async function processesWith(
  mark: Readonly<Record<string, string>>,
  group?: number,
): Promise<{ readonly pid: number; readonly command: string }[]> {
  const entry = `${MARK}=${mark[MARK]}`;
  const read = async (pid: string) => {
    const environment = await readFile(`/proc/${pid}/environ`, "utf8");
    // After the name in brackets: state, parent, group.
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    const [, , groupOf] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (!environment.split("\0").includes(entry) && Number(groupOf) !== group) return [];
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8");
    return [{ pid: Number(pid), command: command.replaceAll("\0", " ").trim() }];
  };
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  // One that ended meanwhile cannot be read, and neither can those of others.
  const found = await Promise.all(pids.map((pid) => read(pid).catch(() => [])));
  return found.flat();
}

/** A demo in a process group, a scratch folder and a mark of its own, so that all it leaves behind is seen. */
export class DemoRun {
  readonly #child;
  readonly #mark: Readonly<Record<string, string>>;
  readonly #scratch: string;
  readonly #watchers = new Set<(line: string) => void>();
  readonly #listened: Promise<void>;

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

  /** Waits for a line. @throws when the demo ends before */
  async prints(pattern: RegExp): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<true>();
    const watcher = (line: string): void => {
      if (pattern.test(line)) resolve(true);
    };
    this.#watchers.add(watcher);
    const isSeen = await Promise.race([promise, this.#listened]);
    if (isSeen !== true) throw new Error(`no line ${pattern} in\n${(await this.#child).all}`);
  }

  /** Kills one of its processes, as a crash would. @param command - a part of its command line */
  async crash(command: string): Promise<void> {
    const running = await processesWith(this.#mark, this.#child.pid);
    const [found, ...others] = running.filter((one) => one.command.includes(command));
    if (found === undefined || others.length > 0) {
      throw new Error(`not one process ${command} in ${JSON.stringify(running)}`);
    }
    process.kill(found.pid, "SIGKILL");
  }

  /** What Ctrl-C does: the terminal tells every process of the group. */
  interrupt(): void {
    this.#signal("SIGINT");
  }

  /** Waits for its end, which has to come soon. */
  async ended(): Promise<EndedProgram> {
    const slow = AbortSignal.timeout(PATIENCE_MS);
    const { promise, reject } = Promise.withResolvers<never>();
    slow.addEventListener("abort", () => reject(new Error("the demo takes more than 10 s to end")));
    const { exitCode, stdout, stderr } = await Promise.race([this.#child, promise]);
    const processes = await processesWith(this.#mark, this.#child.pid);
    const files = await readdir(this.#scratch);
    return { exitCode, stdout, stderr, left: [...processes.map((one) => one.command), ...files] };
  }

  #signal(signal: "SIGINT" | "SIGKILL"): void {
    const { pid } = this.#child;
    if (pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // All of the group are gone.
    }
  }

  async #listen(): Promise<void> {
    for await (const line of this.#child.iterable({ from: "all" })) {
      for (const watcher of this.#watchers) watcher(line);
    }
  }
}
