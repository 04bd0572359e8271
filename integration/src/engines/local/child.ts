import { execa } from "execa";
import { giveUpOn } from "../abort.js";
import type { Run } from "../run.js";

export interface ChildOptions {
  /** What it is called in messages and in front of its lines. */
  readonly name: string;
  readonly file: string;
  readonly arguments: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

const startSeconds = 60;

/** A process of this run: its lines are kept, and it ends with the run or with us, whichever is first. */
export class Child {
  readonly name: string;
  readonly #run: Run;
  readonly #process;
  readonly #exited: Promise<void>;
  readonly #watchers = new Set<(line: string) => void>();
  #ending = false;
  /** How it ended, as the end of a sentence; empty while it runs. */
  #how = "";

  constructor(run: Run, options: ChildOptions) {
    // Between this check and the guard's line nothing waits, so that no process escapes an end that comes meanwhile.
    run.signal.throwIfAborted();
    this.name = options.name;
    this.#run = run;
    this.#process = execa(options.file, options.arguments, {
      env: { ...options.environment },
      stdin: "ignore",
      all: true,
      buffer: false,
      reject: false,
    });
    const { pid } = this.#process;
    if (pid !== undefined) run.guard.kills(pid);
    this.#exited = this.#listen();
    run.atEnd(() => this.kill("SIGKILL"));
  }

  /** Waits until `ready` is fulfilled; throws, with its last lines, when the process ends before that or takes a minute. */
  async until(ready: Promise<unknown>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_, reject) => {
      const fail = () => reject(this.#failure(`did not start within ${startSeconds} s`));
      timer = setTimeout(fail, startSeconds * 1000);
    });
    const ended = this.#exited.then(() => {
      throw this.#failure(`did not start, it ended ${this.#how}`);
    });
    try {
      await giveUpOn(this.#run.signal, Promise.race([ready, tooLate, ended]));
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

  /** Sends the signal, and waits for the process to be gone. A process that does not mind is killed after 15 seconds. */
  async kill(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    this.#ending = true;
    this.#process.kill(signal);
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), 15_000);
    await this.#exited;
    clearTimeout(timer);
  }

  async #listen(): Promise<void> {
    for await (const line of this.#process.iterable({ from: "all" })) {
      this.#run.lines.add(this.name, line);
      for (const watcher of this.#watchers) watcher(line);
    }
    const result = await this.#process;
    this.#how = result.signal
      ? `by ${result.signal}`
      : result.exitCode === undefined
        ? `(${result.originalMessage})`
        : `with exit code ${result.exitCode}`;
    if (!this.#ending) this.#run.lines.add(this.name, `(ended ${this.#how})`);
  }

  #failure(what: string): Error {
    return new Error(`${this.name} ${what}. ${this.#run.lines.summary(this.name)}`);
  }
}
