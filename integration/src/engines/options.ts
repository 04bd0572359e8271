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
  readonly log: (line: string) => void;
  /** Gives up, and ends what was started until then. */
  readonly signal?: AbortSignal | undefined;
}
