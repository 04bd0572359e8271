import { join } from "node:path";
import { execa, type ResultPromise } from "execa";
import { repositoryRoot } from "../engines/places.js";

const PROGRAMS = join(repositoryRoot, "integration/dist/roles");
const KEPT_LINES = 40;
// Longer than a role gives itself.
const KILL_AFTER_MS = 9000;

/** One role as a process of its own. */
export class RoleProcess {
  readonly name: string;
  readonly #child: ResultPromise<ReturnType<typeof settings>>;
  readonly #lines: string[] = [];
  readonly #exited: Promise<string>;
  #stopping = false;

  /** @param entry - the program, below `dist/roles` @param env - added to this process's environment */
  constructor(name: string, entry: string, env: Readonly<Record<string, string>>) {
    this.name = name;
    this.#child = execa(
      process.execPath,
      // kafkajs 2.2.4 sets timeouts in the past, and Node 24 says so each time.
      ["--disable-warning=TimeoutNegativeWarning", join(PROGRAMS, entry)],
      settings(env),
    );
    this.#exited = this.#child.then(({ exitCode, signal, shortMessage }) =>
      signal
        ? `by ${signal}`
        : exitCode === undefined
          ? String(shortMessage)
          : `with code ${exitCode}`,
    );
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Whether it ended before it was asked to. */
  get unexpectedEnd(): Promise<Error> {
    return this.#exited.then((how) =>
      this.#stopping
        ? new Promise<Error>(() => undefined)
        : new Error(`${this.name} ended ${how}; its last lines:\n${this.lastLines()}`),
    );
  }

  /** The address in the ready line. @throws when it ends first, with its last lines */
  async ready(timeoutMs: number): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<string>();
    this.#listen(resolve).catch(() => undefined);
    const slow = AbortSignal.timeout(timeoutMs);
    const late = new Promise<never>((_, reject) => {
      slow.addEventListener("abort", () => {
        reject(new Error(`${this.name} was not ready in ${timeoutMs} ms:\n${this.lastLines()}`));
      });
    });
    const ended = this.unexpectedEnd.then((error) => {
      throw error;
    });
    return Promise.race([promise, ended, late]);
  }

  async #listen(ready: (address: string) => void): Promise<void> {
    const start = `READY ${this.name} `;
    for await (const line of this.#child.iterable({ from: "all" })) {
      if (line.startsWith(start)) ready(line.slice(start.length));
      else if (this.#lines.push(line) > KEPT_LINES) this.#lines.shift();
    }
  }

  lastLines(): string {
    return this.#lines.length === 0
      ? "  (it printed nothing)"
      : this.#lines.map((line) => `  ${line}`).join("\n");
  }

  /** Asks it to stop and waits; one that does not is killed. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#child.kill("SIGTERM");
    await this.#exited;
  }

  /** Ends it at once, its unsent spans lost: what a crash does. */
  async kill(): Promise<void> {
    this.#stopping = true;
    this.#child.kill("SIGKILL");
    await this.#exited;
  }
}

function settings(env: Readonly<Record<string, string>>) {
  return {
    env: { ...env, STOP_WITH_STDIN: "1" },
    stdin: "pipe",
    all: true,
    buffer: false,
    reject: false,
    forceKillAfterDelay: KILL_AFTER_MS,
  } as const;
}
