import { execa } from "execa";
import type { Scope } from "../scope.js";
import { abortable } from "../waiting.js";

export interface ChildOptions {
  /** What it is called in messages and in front of its lines. */
  readonly name: string;
  readonly file: string;
  readonly arguments: readonly string[];
  /** A line after which it will never be ready. It is killed then, because some take long to give up. */
  readonly fatalLine?: RegExp;
}

const START_SECONDS = 60;

/** A process of this run: its lines are kept, and it ends with the run or with us, whichever is first. */
export class Child {
  readonly name: string;
  readonly #scope: Scope;
  readonly #process;
  readonly #exited: Promise<void>;
  readonly #watchers = new Set<(line: string) => void>();
  #ending = false;
  /** How it ended, as the end of a sentence; empty while it runs. */
  #how = "";

  constructor(scope: Scope, options: ChildOptions) {
    // Between this check and the guard's line nothing waits, so that no process escapes an end that comes meanwhile.
    scope.signal.throwIfAborted();
    this.name = options.name;
    this.#scope = scope;
    this.#process = execa(options.file, options.arguments, {
      stdin: "ignore",
      all: true,
      buffer: false,
      reject: false,
      // Our own patience is in `kill`.
      forceKillAfterDelay: false,
    });
    const { pid } = this.#process;
    if (pid !== undefined) scope.reaper.addProcess(pid);
    this.#exited = this.#listen(options.fatalLine);
    scope.onEnd(() => this.kill("SIGKILL"));
  }

  /** Waits until `ready` is fulfilled; throws, with its last lines, when the process ends before that or takes a minute. */
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

  /** Fulfilled when the process prints a line like this. Never rejects: see `until`. */
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

  get hasEnded(): boolean {
    return this.#how !== "";
  }

  /** Sends the signal, and waits for the process to be gone. A process that does not mind is killed after 20 seconds. */
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
