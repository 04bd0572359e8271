/** Where a role serves. They differ where the roles have a network of their own. */
export interface RoleAddress {
  /** `host:port` for the other roles. */
  readonly inside: string;
  /** `host:port` for this process. */
  readonly outside: string;
}

/** One role while it runs. */
export interface RunningRole {
  readonly name: string;
  /** Fulfilled when it ended before it was asked to, with its last lines; never when it was asked. */
  readonly unexpectedEnd: Promise<Error>;
  /** Waits for its ready line. @throws when it ends first, with its last lines */
  ready(timeoutMs: number): Promise<RoleAddress>;
  /** The last it printed, indented. */
  lastLines(): string;
  /** Asks it to stop and waits; one that does not is killed. */
  stop(): Promise<void>;
  /** Ends it at once, its unsent spans lost: what a crash does. */
  kill(): Promise<void>;
  /** Resident memory. */
  memoryMb(): Promise<number>;
}
