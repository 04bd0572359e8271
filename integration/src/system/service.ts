import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { messageOf } from "./spans.js";

/** One role while it runs. */
export interface Service {
  /** `host:port` where it serves, for roles that do. */
  readonly address?: string;
  /** True when it can serve. Default: always. */
  readonly ready?: () => boolean;
  /** Accepts no new work, finishes the work under way, closes its connections. */
  readonly stop: () => Promise<void>;
}

/** Options of `runRole`. */
export interface RoleOptions {
  readonly name: string;
  readonly start: () => Promise<Service>;
  /** Exports the remaining spans. Called last. */
  readonly flush?: () => Promise<void>;
}

// A role ends within 8 s. A client of a broker that is gone may never stop; the spans are exported all the same.
const STOP_TIMEOUT_MS = 6000;
const FLUSH_TIMEOUT_MS = 1500;

/**
 * Runs one role as a process: starts it, prints `READY <name> <address>` on stdout, serves health checks when HEALTH_PORT
 * is set, and on SIGTERM or SIGINT stops it and exports its spans. A role that cannot start prints the reason on stderr
 * and exits with code 1.
 */
export async function runRole({ name, start, flush }: RoleOptions): Promise<void> {
  let service: Service | undefined;
  let health: HealthServer | undefined;
  try {
    // First, so that a role without the port joins no group, and one that starts slowly answers health checks.
    health = await serveHealth(() => service !== undefined && (service.ready?.() ?? true));
    service = await start();
  } catch (error) {
    process.stderr.write(`${name}: cannot start: ${messageOf(error)}\n`);
    await flush?.().catch(() => undefined);
    process.exit(1);
  }
  const started = service;

  let stopping = false;
  const stop = async (): Promise<void> => {
    if (stopping) return;
    stopping = true;
    health?.close();
    const stopped = await finishesWithin(name, "stopping", () => started.stop(), STOP_TIMEOUT_MS);
    const flushed =
      flush === undefined || (await finishesWithin(name, "sending spans", flush, FLUSH_TIMEOUT_MS));
    process.exit(stopped && flushed ? 0 : 1);
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => void stop());
  // The parent process holds the other end of stdin. When it dies, however it does, stdin ends.
  if (process.env.STOP_WITH_STDIN !== undefined) {
    process.stdin.on("end", () => void stop()).on("error", () => void stop());
    process.stdin.resume();
  }
  process.stdout.write(`READY ${name} ${started.address ?? "-"}\n`);
}

/** Waits for an action up to a time limit, and reports its error. Returns true when it ended in time. */
async function finishesWithin(
  name: string,
  activity: string,
  action: () => Promise<void>,
  limitMs: number,
): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => {
    process.stderr.write(`${name}: ${activity} was given up after ${limitMs} ms\n`);
    resolve(false);
  }, limitMs);
  const done = action().then(
    () => true,
    (error: unknown) => {
      process.stderr.write(`${name}: while ${activity}: ${messageOf(error)}\n`);
      return true;
    },
  );
  const inTime = await Promise.race([done, late]);
  clearTimeout(timer);
  return inTime;
}

type HealthServer = ReturnType<typeof createServer>;

/** Serves health checks on HEALTH_PORT, when it is set. @throws when the port is not available */
async function serveHealth(isReady: () => boolean): Promise<HealthServer | undefined> {
  if (process.env.HEALTH_PORT === undefined) return undefined;
  const port = Number(process.env.HEALTH_PORT);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new Error("wrong configuration: HEALTH_PORT: expected a whole number from 0 to 65535");
  }
  const server = createServer((request, response) => {
    const [code, status] = healthAt(request.url, isReady);
    response.writeHead(code, { "content-type": "application/json" });
    response.end(JSON.stringify({ status }));
  });
  server.listen(port, process.env.HOST ?? "127.0.0.1");
  await once(server, "listening");
  return server;
}

function healthAt(
  path: string | undefined,
  isReady: () => boolean,
): readonly [code: number, status: string] {
  if (path !== "/healthz" && path !== "/readyz") return [404, "no such page"];
  return path === "/healthz" || isReady() ? [200, "ok"] : [503, "not ready"];
}

/** `host:port` of the address of a server that listens. */
export function hostAndPort(address: string | AddressInfo | null): string {
  if (address === null || typeof address === "string") throw new Error("not listening on a port");
  const host = address.family === "IPv6" ? `[${address.address}]` : address.address;
  return `${host}:${address.port}`;
}
