import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pRetry from "p-retry";
import { Child } from "../engines/local/child.js";
import { freePort, onFreePorts } from "../engines/local/ports.js";
import { Scope } from "../engines/scope.js";
import { endOnSignal, SIGNAL_RECEIVED } from "../engines/signals.js";
import { type BinaryName, binary } from "./binaries.js";

/** Options of the start of a backend. */
export interface StartOptions {
  /** Takes lines of progress: what is built and started. */
  readonly log: (line: string) => void;
  /** Cancels the start, and ends what was started until then. */
  readonly signal?: AbortSignal | undefined;
}

/** A backend that runs until it is disposed of. */
export interface Backend extends AsyncDisposable {
  /** Its address for OTLP over HTTP, for OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly otlpUrl: string;
  /** The last lines that it printed. Empty for one that was not started here. */
  logs(): string;
}

/** How one program is started. */
export interface Program<Port extends string> {
  readonly name: BinaryName;
  /** The environment variables of its ports. Each gets a free port. */
  readonly ports: readonly Port[];
  /** Returns the paths of its configuration files. @param scratch - a temporary folder */
  readonly configs: (scratch: string) => Promise<readonly string[]>;
  /** Returns its other environment variables. @param scratch - a temporary folder */
  readonly env: (scratch: string) => Readonly<Record<string, string>>;
  /** Requests that succeed once it is ready. */
  readonly readinessRequests: (ports: Readonly<Record<Port, number>>) => readonly Request[];
}

/** A program that runs until it is disposed of. */
export interface Running<Port extends string> extends AsyncDisposable {
  /** The ports that were chosen. */
  readonly ports: Readonly<Record<Port, number>>;
  /** The last lines that it printed. */
  logs(): string;
}

/**
 * Builds the program unless it is in the cache, and starts it on free ports of 127.0.0.1. It ends when it is disposed
 * of, on a signal to this process, and when this process dies.
 *
 * @throws with its last lines when it does not start
 */
export async function startProgram<Port extends string>(
  program: Program<Port>,
  { log, signal }: StartOptions,
): Promise<Running<Port>> {
  signal?.throwIfAborted();
  const scope = new Scope(log, signal);
  const forget = endOnSignal(() => scope.end(new Error(SIGNAL_RECEIVED)));
  try {
    const file = await scope.step(() => binary(scope, program.name));
    const scratch = await mkdtemp(join(tmpdir(), `traceferry-${program.name}-`));
    scope.reaper.addFolder(scratch);
    scope.onEnd(() => rm(scratch, { recursive: true, force: true }));
    const choose = () => choosePorts(program.ports);
    const ports = await scope.step(() =>
      onFreePorts(scope, program.name, choose, async (chosen) => {
        await launch(scope, program, file, scratch, chosen);
        return chosen;
      }),
    );
    return {
      ports,
      logs: () => scope.lines.all(),
      [Symbol.asyncDispose]: async () => {
        await scope.end();
        await forget();
      },
    };
  } catch (error) {
    const why = error instanceof Error ? error : new Error(String(error));
    await scope.end(why);
    await forget();
    throw why;
  }
}

async function launch<Port extends string>(
  scope: Scope,
  program: Program<Port>,
  file: string,
  scratch: string,
  ports: Readonly<Record<Port, number>>,
): Promise<void> {
  const { name, configs, env, readinessRequests } = program;
  const variables = Object.entries({ LISTEN_HOST: "127.0.0.1", ...ports, ...env(scratch) });
  const child = new Child(scope, {
    name,
    // The command env replaces itself by the program, which keeps the process id.
    file: "env",
    arguments: [
      ...variables.map(([variable, value]) => `${variable}=${value}`),
      file,
      ...(await configs(scratch)).map((config) => `--config=file:${config}`),
    ],
  });
  try {
    // Its own ready line comes first: another process that took a port meanwhile might answer as well.
    await child.until(child.prints(/Everything is ready/));
    await child.until(
      Promise.all(readinessRequests(ports).map((request) => waitForSuccess(request, scope.signal))),
    );
  } catch (error) {
    throw error instanceof Error ? withKnownPortError(error) : error;
  }
}

/** Capitalises the message of Go about a port in use, as `onFreePorts` expects it. */
function withKnownPortError(error: Error): Error {
  const message = error.message.replaceAll("address already in use", "Address already in use");
  return message === error.message ? error : new Error(message, { cause: error });
}

async function waitForSuccess(request: Request, signal: AbortSignal): Promise<void> {
  await pRetry(
    async () => {
      const timeout = AbortSignal.timeout(2_000);
      const response = await fetch(request.clone(), { signal: AbortSignal.any([signal, timeout]) });
      await response.body?.cancel();
      if (!response.ok) throw new Error(`${request.url} answers ${response.status}`);
    },
    { retries: 100, minTimeout: 50, factor: 1, signal },
  );
}

async function choosePorts<Port extends string>(
  names: readonly Port[],
): Promise<Record<Port, number>> {
  const ports: Partial<Record<Port, number>> = {};
  for (const name of names) ports[name] = await freePort();
  return complete(ports, names);
}

function complete<Port extends string>(
  ports: Partial<Record<Port, number>>,
  names: readonly Port[],
): Record<Port, number> {
  const isComplete = (some: typeof ports): some is Record<Port, number> =>
    names.every((name) => some[name] !== undefined);
  if (!isComplete(ports)) throw new Error("a port was not chosen");
  return ports;
}
