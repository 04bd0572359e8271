import { execa, type ResultPromise } from "execa";
import pidusage from "pidusage";
import type { Command } from "../peers/peer.js";
import type { RoleAddress, RunningRole } from "./running-role.js";

const KEPT_LINES = 15;
// Longer than the time limit that a role sets itself.
const KILL_AFTER_MS = 9000;

/** One role that runs as a process of its own. */
export class RoleProcess implements RunningRole {
  readonly name: string;
  readonly #child: ResultPromise<ReturnType<typeof settings>>;
  readonly #lines: string[] = [];
  readonly #exited: Promise<string>;
  readonly #ready = Promise.withResolvers<string>();
  #stopping = false;

  /** @param env - added to the environment of this process */
  constructor(name: string, command: Command, env: Readonly<Record<string, string>>) {
    this.name = name;
    this.#child = execa(command.file, command.arguments, settings(command, env));
    this.#exited = this.#watch();
  }

  async memoryMb(): Promise<number> {
    const { pid } = this.#child;
    return pid === undefined ? 0 : (await pidusage(pid)).memory / 1024 / 1024;
  }

  get unexpectedEnd(): Promise<Error> {
    return this.#exited.then((how) =>
      this.#stopping
        ? new Promise<Error>(() => undefined)
        : new Error(`${this.name} ended ${how}; its last lines:\n${this.lastLines()}`),
    );
  }

  async ready(timeoutMs: number): Promise<RoleAddress> {
    const slow = AbortSignal.timeout(timeoutMs);
    const late = new Promise<never>((_, reject) => {
      slow.addEventListener("abort", () => {
        reject(new Error(`${this.name} was not ready in ${timeoutMs} ms:\n${this.lastLines()}`));
      });
    });
    const ended = this.unexpectedEnd.then((error) => {
      throw error;
    });
    const address = await Promise.race([this.#ready.promise, ended, late]);
    return { inside: address, outside: address };
  }

  /** Reads its output to the last line. Returns how it ended. */
  async #watch(): Promise<string> {
    const start = `READY ${this.name} `;
    for await (const line of this.#child.iterable({ from: "all" })) {
      if (line.startsWith(start)) this.#ready.resolve(line.slice(start.length));
      else if (this.#lines.push(line) > KEPT_LINES) this.#lines.shift();
    }
    const { exitCode, signal, shortMessage } = await this.#child;
    if (signal) return `by ${signal}`;
    return exitCode === undefined ? `(${shortMessage})` : `with code ${exitCode}`;
  }

  lastLines(): string {
    return this.#lines.length === 0
      ? "  (it printed nothing)"
      : this.#lines.map((line) => `  ${line}`).join("\n");
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#child.kill("SIGTERM");
    await this.#exited;
  }

  async kill(): Promise<void> {
    this.#stopping = true;
    this.#child.kill("SIGKILL");
    await this.#exited;
  }
}

function settings({ cwd, env: own }: Command, env: Readonly<Record<string, string>>) {
  return {
    ...(cwd !== undefined && { cwd }),
    env: { ...env, ...own, STOP_WITH_STDIN: "1" },
    stdin: "pipe",
    all: true,
    buffer: false,
    reject: false,
    forceKillAfterDelay: KILL_AFTER_MS,
  } as const;
}
