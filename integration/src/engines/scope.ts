import { Lines } from "./lines.js";
import { Reaper } from "./reaper.js";

/** The addresses of Kafka ("host:port" of each broker) and Redis ("redis://host:port"). */
export interface EngineAddresses {
  readonly kafkaBrokers: string[];
  readonly redisUrl: string;
}

/** The addresses of the engines that were started. */
export interface StartedAddresses {
  readonly kafkaBrokers?: string[];
  readonly redisUrl?: string;
  /** Their addresses on the container network that they joined. */
  readonly inside?: EngineAddresses;
}

/** Starts the engines of one kind. Whatever has to be undone is registered on the scope at once. */
export type StartEngines = (scope: Scope) => Promise<StartedAddresses>;

/**
 * The lifetime of things that are started together, such as engines, roles and builds: their output, what has to be undone
 * at the end, and the signal that cancels them.
 */
export class Scope {
  readonly lines = new Lines();
  readonly log: (line: string) => void;
  readonly #undo: (() => Promise<void>)[] = [];
  readonly #steps: Promise<unknown>[] = [];
  readonly #controller = new AbortController();
  readonly #signal: AbortSignal;
  readonly #fail = Promise.withResolvers<never>();
  #reaper: Reaper | undefined;
  #ended: Promise<void> | undefined;

  constructor(log: (line: string) => void, signal: AbortSignal | undefined) {
    this.log = log;
    this.#signal = signal
      ? AbortSignal.any([signal, this.#controller.signal])
      : this.#controller.signal;
    // A failure that nobody waits for is not an unhandled rejection.
    this.failure.catch(() => undefined);
  }

  /** Rejects when something in this scope ended unexpectedly. */
  get failure(): Promise<never> {
    return this.#fail.promise;
  }

  /** Reports that something in this scope ended unexpectedly. */
  fail(error: Error): void {
    this.#fail.reject(error);
  }

  /** Cleans up when this process dies. Started on first use. */
  get reaper(): Reaper {
    this.#reaper ??= Reaper.start();
    return this.#reaper;
  }

  /** Aborted when the caller cancels, when a step fails, and when the scope ends for a reason. */
  get signal(): AbortSignal {
    return this.#signal;
  }

  /** True unless something went wrong or was cancelled. */
  get isOrderly(): boolean {
    return !this.#signal.aborted;
  }

  /** Registers what has to be undone at the end. The newest is undone first. */
  onEnd(undo: () => Promise<void>): void {
    this.#undo.push(undo);
  }

  /** Runs one step of the start. The end of the scope waits for it. When it fails, the signal is aborted. */
  step<T>(work: () => Promise<T>): Promise<T> {
    const step = this.#attempt(work);
    this.#steps.push(step);
    return step;
  }

  /** Runs steps side by side. Throws only when all have settled. */
  async parallel<T>(tasks: readonly (() => Promise<T>)[]): Promise<T[]> {
    const steps = tasks.map((work) => this.step(work));
    await Promise.allSettled(steps);
    // The signal has the error of the first step that failed, which made the others fail.
    this.#signal.throwIfAborted();
    return Promise.all(steps);
  }

  async #attempt<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.#controller.abort(error);
      throw error;
    }
  }

  /** Ends everything, once. Every caller waits for the same end. With a reason the signal is aborted first. */
  end(reason?: Error): Promise<void> {
    this.#ended ??= this.#end(reason);
    return this.#ended;
  }

  async #end(reason: Error | undefined): Promise<void> {
    if (reason !== undefined) this.#controller.abort(reason);
    await Promise.allSettled(this.#steps);
    const faults: unknown[] = [];
    for (const undo of this.#undo.reverse()) {
      try {
        await undo();
      } catch (error) {
        faults.push(error);
      }
    }
    await this.#reaper?.done();
    if (faults.length > 0) throw new AggregateError(faults, "some engines could not be ended");
  }
}
