/** Where the engines come from: addresses in the environment, containers, or processes of this machine. */
export type EngineKind = "docker" | "local" | "external";

/** Which of the engines are wanted. Each is started unless it is `false`. */
export interface Need {
  readonly kafka?: boolean;
  readonly redis?: boolean;
}

export interface StartOptions {
  /** Where the engines come from. Default: "auto", which is what TRACEFERRY_ENGINES says, else the first kind that can work. */
  readonly kind?: EngineKind | "auto";
  /** Which engines are wanted. Default: all. */
  readonly need?: Need;
  /** Hears, line by line, what was chosen and why, and what is fetched and started. */
  readonly say: (line: string) => void;
  /** Gives up, and ends what was started until then. */
  readonly signal?: AbortSignal | undefined;
}

/** Where Kafka and Redis answer. */
export type EngineAddresses = Pick<Engines, "kafkaBrokers" | "redisUrl">;

/** Engines that run and answer, until they are disposed of. */
export interface Engines extends AsyncDisposable {
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
