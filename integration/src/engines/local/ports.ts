import getPort from "get-port";
import type { Scope } from "../scope.js";

/** Finds a free port of 127.0.0.1. */
export function freePort(): Promise<number> {
  return getPort({ host: "127.0.0.1" });
}

/** Matches the message of Kafka and Redis about a port that is in use. */
export const PORT_IN_USE = /Address already in use/;

/**
 * Starts something on free ports. Another process may take one between the search and the start, so there are three
 * attempts.
 */
export async function onFreePorts<Ports, T>(
  scope: Scope,
  name: string,
  choose: () => Promise<Ports>,
  start: (ports: Ports) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const ports = await choose();
    try {
      return await start(ports);
    } catch (error) {
      const isTaken = error instanceof Error && PORT_IN_USE.test(error.message);
      if (!isTaken || attempt === 3) throw error;
      scope.log(`${name}: somebody else took its port, once more with another`);
    }
  }
}
