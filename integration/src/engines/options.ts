/** The kind of engines: containers, processes of this machine, or running ones at addresses in the environment. */
export type EngineKind = "docker" | "local" | "external";

/** The engines to start: each unless it is `false`. */
export interface Need {
  readonly kafka?: boolean;
  readonly redis?: boolean;
}

/** Options of `startEngines`. */
export interface StartOptions {
  /** The kind of engines. Default: "auto", the one in TRACEFERRY_ENGINES, or else the first that is available. */
  readonly kind?: EngineKind | "auto";
  /** The engines to start. Default: all. */
  readonly need?: Need;
  /** Takes lines of progress: the choice and its reason, what is fetched and started. */
  readonly log: (line: string) => void;
  /** Cancels the start, and ends what was started until then. */
  readonly signal?: AbortSignal | undefined;
}
