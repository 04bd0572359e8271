import { type Choice, choose, requestedKind } from "./choose.js";
import { detectExternal } from "./external.js";
import { detectLocal } from "./local/index.js";
import type { EngineKind, StartOptions } from "./options.js";
import { type EngineAddresses, Scope, type Start, type Started } from "./scope.js";
import { endOnSignal } from "./signals.js";

/** Engines that run and answer, until they are disposed of. */
export interface Engines extends EngineAddresses, AsyncDisposable {
  readonly kind: EngineKind;
  /** Why this kind was chosen, for people. */
  readonly reason: string;
  /** Addresses of Kafka brokers, "host:port". Throws when Kafka was not asked for. */
  readonly kafkaBrokers: string[];
  /** Address of Redis, "redis://host:port". Throws when Redis was not asked for. */
  readonly redisUrl: string;
  /**
   * Rejects when an engine goes away though nobody asked it to; says which and shows its last lines. Never of
   * external ones.
   */
  readonly failure: Promise<never>;
  /** The last lines that the engines printed; empty for external ones. */
  logs(): string;
}

/**
 * Starts Kafka and Redis for the suite or the demo, or finds them where they run: `external` when KAFKA_BROKERS and
 * REDIS_URL are set, else `docker` when an engine answers and has or can pull the images, else `local` processes.
 * TRACEFERRY_ENGINES forces a kind, and the option does so before it.
 *
 * They end when they are disposed of, when this process is told to stop, when it dies, and when one cannot start.
 * Throws one error that tells what each kind needs and what is missing.
 */
export async function startEngines(options: StartOptions): Promise<Engines> {
  const { log, signal, need = {} } = options;
  signal?.throwIfAborted();
  const choice = await choose<Start>(requestedKind(options.kind, process.env), {
    external: () => detectExternal(need),
    // Loaded only when it is its turn: testcontainers is large.
    docker: async () => (await import("./docker.js")).detectDocker(need, log, signal),
    local: () => detectLocal(need),
  });
  signal?.throwIfAborted();
  log(`engines: ${choice.kind} (${choice.reason})`);
  return begin(choice, new Scope(log, signal));
}

async function begin(choice: Choice<Start>, scope: Scope): Promise<Engines> {
  const forget = endOnSignal(() => scope.end(new Error("the process was told to stop")));
  try {
    const started = await choice.start(scope);
    scope.signal.throwIfAborted();
    return new StartedEngines(choice, started, scope, forget);
  } catch (error) {
    const why = error instanceof Error ? error : new Error(String(error));
    await scope.end(why);
    await forget();
    throw why;
  }
}

class StartedEngines implements Engines {
  readonly kind: EngineKind;
  readonly reason: string;
  readonly #started: Started;
  readonly #scope: Scope;
  readonly #forget: () => Promise<void>;

  constructor(choice: Choice<Start>, started: Started, scope: Scope, forget: () => Promise<void>) {
    this.kind = choice.kind;
    this.reason = choice.reason;
    this.#started = started;
    this.#scope = scope;
    this.#forget = forget;
  }

  get kafkaBrokers(): string[] {
    if (this.#started.kafkaBrokers === undefined) throw notAskedFor("kafka");
    return this.#started.kafkaBrokers;
  }

  get redisUrl(): string {
    // An empty address would make clients connect to whatever listens on Redis's usual port.
    if (this.#started.redisUrl === undefined) throw notAskedFor("redis");
    return this.#started.redisUrl;
  }

  get failure(): Promise<never> {
    return this.#scope.failure;
  }

  logs(): string {
    return this.#scope.lines.all();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope.end();
    await this.#forget();
  }
}

function notAskedFor(engine: string): Error {
  return new Error(`these engines were started with need.${engine}: false`);
}
