import getPort from "get-port";
import type { Scope } from "../scope.js";

/** A port of this host that nobody uses now. */
export function freePort(): Promise<number> {
  return getPort({ host: "127.0.0.1" });
}

/** How Kafka and Redis call it. */
export const PORT_IN_USE = /Address already in use/;

/** Starts something on ports that are free. Between the search and the use somebody else may take one: three attempts. */
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
