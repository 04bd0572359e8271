import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { messageOf } from "./spans.js";

/** One role while it runs. */
export interface Service {
  /** `host:port` where it serves, for roles that do. */
  readonly address?: string;
  /** Whether it can do its work now. Default: yes. */
  readonly ready?: () => boolean;
  /** Takes no new work, finishes what it has, lets go of its connections. */
  readonly stop: () => Promise<void>;
}

export interface RoleOptions {
  readonly name: string;
  readonly start: () => Promise<Service>;
  /** Last of all: sends the spans that are still held back. */
  readonly flush?: () => Promise<void>;
}

// All is over within 8 s: what does not let go, a client of a broker that is gone, leaves time to send the spans.
const STOP_TIMEOUT_MS = 6000;
const FLUSH_TIMEOUT_MS = 1500;

/**
 * Runs one role as a process: starts it, prints one line `READY <name> <address>` on stdout, serves health
 * checks where HEALTH_PORT is set, and on SIGTERM or SIGINT stops it and flushes its spans. A role that
 * fails to start says why on stderr and ends with code 1.
 */
export async function runRole({ name, start, flush }: RoleOptions): Promise<void> {
  let service: Service | undefined;
  let health: HealthServer | undefined;
  try {
    // First: a role that cannot have the port has joined nothing yet, and one that takes its time is alive.
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
  // The starter holds the other end of stdin: when it is gone, however it went, so are we.
  if (process.env.STOP_WITH_STDIN !== undefined) {
    process.stdin.on("end", () => void stop()).on("error", () => void stop());
    process.stdin.resume();
  }
  process.stdout.write(`READY ${name} ${started.address ?? "-"}\n`);
}

/** Waits for an act, but not for ever; says what went wrong. Gives whether it came to an end. */
async function finishesWithin(
  name: string,
  doing: string,
  act: () => Promise<void>,
  limitMs: number,
): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => {
    process.stderr.write(`${name}: ${doing} was given up after ${limitMs} ms\n`);
    resolve(false);
  }, limitMs);
  const done = act().then(
    () => true,
    (error: unknown) => {
      process.stderr.write(`${name}: while ${doing}: ${messageOf(error)}\n`);
      return true;
    },
  );
  const inTime = await Promise.race([done, late]);
  clearTimeout(timer);
  return inTime;
}

type HealthServer = ReturnType<typeof createServer>;

/** Where HEALTH_PORT says so. @throws when that port cannot be had */
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

/** `host:port` of a server that listens. */
export function hostAndPort(address: string | AddressInfo | null): string {
  if (address === null || typeof address === "string") throw new Error("not listening on a port");
  const host = address.family === "IPv6" ? `[${address.address}]` : address.address;
  return `${host}:${address.port}`;
}
