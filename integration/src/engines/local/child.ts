import { execa } from "execa";
import type { Scope } from "../scope.js";
import { abortable } from "../waiting.js";

/** How a child process is started. */
export interface ChildOptions {
  /** Its name in messages and in front of its output. */
  readonly name: string;
  readonly file: string;
  readonly arguments: readonly string[];
  /** A line of output after which it can never become ready. It is then killed, because some take long to exit. */
  readonly fatalLine?: RegExp;
}

const START_SECONDS = 60;

/** A child process whose output is kept. It is killed at the end of its scope, or when this process dies. */
export class Child {
  readonly name: string;
  readonly #scope: Scope;
  readonly #process;
  readonly #exited: Promise<void>;
  readonly #watchers = new Set<(line: string) => void>();
  #ending = false;
  /** How it ended, as the end of a sentence. Empty while it runs. */
  #how = "";

  constructor(scope: Scope, options: ChildOptions) {
    // There is no await from this check to `addProcess`, so that no process escapes a scope that ends meanwhile.
    scope.signal.throwIfAborted();
    this.name = options.name;
    this.#scope = scope;
    this.#process = execa(options.file, options.arguments, {
      stdin: "ignore",
      all: true,
      buffer: false,
      reject: false,
      // `kill` has its own time limit.
      forceKillAfterDelay: false,
    });
    const { pid } = this.#process;
    if (pid !== undefined) scope.reaper.addProcess(pid);
    this.#exited = this.#listen(options.fatalLine);
    scope.onEnd(() => this.kill("SIGKILL"));
  }

  /** Waits for `ready`. @throws with the last lines when the process ends first, or after 60 seconds */
  async until(ready: Promise<unknown>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_, reject) => {
      const fail = () => reject(this.#failure(`did not start within ${START_SECONDS} s`));
      timer = setTimeout(fail, START_SECONDS * 1000);
    });
    const ended = this.#exited.then(() => {
      throw this.#failure(`did not start, it ended ${this.#how}`);
    });
    try {
      await abortable(this.#scope.signal, Promise.race([ready, tooLate, ended]));
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits until the process prints a matching line. Never rejects: combine it with `until`. */
  prints(pattern: RegExp): Promise<void> {
    return new Promise((resolve) => {
      const watcher = (line: string) => {
        if (!pattern.test(line)) return;
        this.#watchers.delete(watcher);
        resolve();
      };
      this.#watchers.add(watcher);
    });
  }

  /** True when the process has ended. */
  get hasEnded(): boolean {
    return this.#how !== "";
  }

  /** Sends the signal and waits for the end of the process. A process that ignores it is killed after 20 seconds. */
  async kill(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    this.#ending = true;
    this.#process.kill(signal);
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), 20_000);
    await this.#exited;
    clearTimeout(timer);
  }

  async #listen(fatalLine: RegExp | undefined): Promise<void> {
    let isFatal = false;
    for await (const line of this.#process.iterable({ from: "all" })) {
      this.#scope.lines.add(this.name, line);
      for (const watcher of this.#watchers) watcher(line);
      if (!fatalLine?.test(line)) continue;
      isFatal = true;
      this.#process.kill("SIGKILL");
    }
    const result = await this.#process;
    if (isFatal) this.#how = "in vain";
    else if (result.signal) this.#how = `by ${result.signal}`;
    else if (result.exitCode !== undefined) this.#how = `with exit code ${result.exitCode}`;
    else this.#how = `(${result.originalMessage})`;
    if (this.#ending) return;
    this.#scope.lines.add(this.name, `(ended ${this.#how})`);
    this.#scope.fail(this.#failure(`ended ${this.#how}`));
  }

  #failure(what: string): Error {
    return new Error(`${this.name} ${what}. ${this.#scope.lines.summary(this.name)}`);
  }
}
