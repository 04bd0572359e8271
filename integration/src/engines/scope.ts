import { Lines } from "./lines.js";
import { Reaper } from "./reaper.js";

/** Where Kafka and Redis answer. */
export interface EngineAddresses {
  readonly kafkaBrokers: string[];
  readonly redisUrl: string;
}

/** Addresses of what was started. */
export interface Started {
  readonly kafkaBrokers?: string[];
  readonly redisUrl?: string;
  /** The same for containers on the network that they joined. */
  readonly inside?: EngineAddresses;
}

/** Starts the engines of one kind. What has to be undone is told to the run at once. */
export type Start = (scope: Scope) => Promise<Started>;

/** One run of engines: what they print, what has to be undone at the end, and the signal to give up. */
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
    // Whoever does not ask is not told.
    this.failure.catch(() => undefined);
  }

  /** Rejects when something of this run ended though nobody had asked it to. */
  get failure(): Promise<never> {
    return this.#fail.promise;
  }

  /** Something of this run is gone. */
  fail(error: Error): void {
    this.#fail.reject(error);
  }

  /** Ends things for us when we die. External engines never need one. */
  get reaper(): Reaper {
    this.#reaper ??= Reaper.start();
    return this.#reaper;
  }

  /** Aborted when the caller gives up, when a sibling failed, and when the run ends. */
  get signal(): AbortSignal {
    return this.#signal;
  }

  /** True when the engines are ended because they were disposed of, and not because something went wrong. */
  get isOrderly(): boolean {
    return !this.#signal.aborted;
  }

  /** Remembers how to undo what was just done. The newest is undone first. */
  onEnd(undo: () => Promise<void>): void {
    this.#undo.push(undo);
  }

  /** One step of the start. The end waits for it, and when it fails the steps beside it are told to give up. */
  step<T>(work: () => Promise<T>): Promise<T> {
    const step = this.#attempt(work);
    this.#steps.push(step);
    return step;
  }

  /** Steps side by side. All have settled before it throws. */
  async parallel<T>(tasks: readonly (() => Promise<T>)[]): Promise<T[]> {
    const steps = tasks.map((work) => this.step(work));
    await Promise.allSettled(steps);
    // The first to fail is the cause; the others only gave up because of it.
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

  /** Ends everything, once; every caller waits for the same end. */
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
