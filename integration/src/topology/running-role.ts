/** The addresses of a role. They differ when the roles have a network of their own. */
export interface RoleAddress {
  /** `host:port` for the other roles. */
  readonly inside: string;
  /** `host:port` for this process. */
  readonly outside: string;
}

/** One role while it runs. */
export interface RunningRole {
  /** The name of the role. */
  readonly name: string;
  /** Fulfilled with an error that has its last lines when it ends unexpectedly. Stays pending when it was stopped. */
  readonly unexpectedEnd: Promise<Error>;
  /** Waits for its ready line. @throws with its last lines when it ends first */
  ready(timeoutMs: number): Promise<RoleAddress>;
  /** Its last lines of output, indented. */
  lastLines(): string;
  /** Stops it and waits. It is killed when it does not stop in time. */
  stop(): Promise<void>;
  /** Kills it, as a crash would: its unsent spans are lost. */
  kill(): Promise<void>;
  /** Its resident memory in MB. */
  memoryMb(): Promise<number>;
}
