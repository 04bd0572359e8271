import { type Choice, choose, requestedKind } from "./choose.js";
import { detectExternal } from "./external.js";
import { detectLocal } from "./local/index.js";
import type { EngineKind, StartOptions } from "./options.js";
import { type EngineAddresses, Scope, type StartEngines, type StartedAddresses } from "./scope.js";
import { endOnSignal, SIGNAL_RECEIVED } from "./signals.js";

/** Engines that run until they are disposed of. */
export interface Engines extends EngineAddresses, AsyncDisposable {
  readonly kind: EngineKind;
  /** The reason why this kind was chosen, for people. */
  readonly reason: string;
  /** The brokers of Kafka, "host:port". @throws when Kafka was not asked for */
  readonly kafkaBrokers: string[];
  /** The address of Redis, "redis://host:port". @throws when Redis was not asked for */
  readonly redisUrl: string;
  /** Rejects when an engine ends unexpectedly, with its name and its last lines. Never for external ones. */
  readonly failure: Promise<never>;
  /** The last lines that the engines printed. Empty for external ones. */
  logs(): string;
}

/**
 * Starts Kafka and Redis, or uses those that run: `external` when KAFKA_BROKERS and REDIS_URL are set, else `docker` when
 * a Docker engine answers and has or can pull the images, else `local` processes. The option `kind`, or else
 * TRACEFERRY_ENGINES, requests one kind.
 *
 * They end when they are disposed of, on a signal to this process, when it dies, and when one of them cannot start.
 *
 * @throws when no kind is available; the error says what each kind needs and what is missing
 */
export async function startEngines(options: StartOptions): Promise<Engines> {
  const { log, signal, need = {} } = options;
  signal?.throwIfAborted();
  const choice = await choose<StartEngines>(requestedKind(options.kind, process.env), {
    external: () => detectExternal(need),
    // Loaded only when it is needed: testcontainers is large.
    docker: async () => (await import("./docker.js")).detectDocker(need, log, signal),
    local: () => detectLocal(need),
  });
  signal?.throwIfAborted();
  log(`engines: ${choice.kind} (${choice.reason})`);
  return begin(choice, new Scope(log, signal));
}

async function begin(choice: Choice<StartEngines>, scope: Scope): Promise<Engines> {
  const forget = endOnSignal(() => scope.end(new Error(SIGNAL_RECEIVED)));
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
  readonly #started: StartedAddresses;
  readonly #scope: Scope;
  readonly #forget: () => Promise<void>;

  constructor(
    choice: Choice<StartEngines>,
    started: StartedAddresses,
    scope: Scope,
    forget: () => Promise<void>,
  ) {
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
    // With an empty address clients would connect to the default port of Redis.
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
