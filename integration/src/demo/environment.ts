import { type OtlpReceiver, startReceiver } from "@traceferry/testkit";
import { type Engines, startEngines } from "../engines/index.js";
import { checkProcesses, type Hosts } from "../topology/hosts.js";
import { startDemoBackend } from "./backend.js";
import type { DemoOptions } from "./options.js";

/** What the roles stand on: engines, a place to run, and somebody who takes their spans. */
export interface DemoEnvironment extends AsyncDisposable {
  readonly engines: Omit<Engines, keyof AsyncDisposable>;
  /** Undefined for processes of this machine. */
  readonly hosts: Hosts | undefined;
  readonly receiver: OtlpReceiver;
  /** Where the roles export to, as they see it. */
  readonly otlpUrl: string;
  /** The page of a trace in the backend; without one there is none. */
  readonly traceUrl: ((traceId: string) => string) | undefined;
}

interface Started {
  readonly log: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Starts all of it, or, when one part cannot start, ends what was started. */
export async function startEnvironment(
  options: DemoOptions,
  started: Started,
): Promise<DemoEnvironment> {
  await using stack = new AsyncDisposableStack();
  const environment =
    options.hosts === "containers"
      ? await startContainers(started, stack)
      : await startProcesses(options, started, stack);
  const ended = stack.move();
  return { ...environment, [Symbol.asyncDispose]: () => ended.disposeAsync() };
}

type Parts = Omit<DemoEnvironment, keyof AsyncDisposable>;

async function startProcesses(
  options: DemoOptions,
  started: Started,
  stack: AsyncDisposableStack,
): Promise<Parts> {
  await checkProcesses(options.implementations);
  const engines = stack.use(await startEngines({ kind: options.engines ?? "auto", ...started }));
  const receiver = stack.use(await startReceiver());
  const backend = options.backend && stack.use(await startDemoBackend(receiver.httpUrl, started));
  return {
    engines,
    hosts: undefined,
    receiver,
    otlpUrl: backend?.otlpUrl ?? receiver.httpUrl,
    traceUrl: backend && ((traceId) => backend.traceUrl(traceId)),
  };
}

async function startContainers(started: Started, stack: AsyncDisposableStack): Promise<Parts> {
  // Loaded only when it is asked for: testcontainers is large.
  const { startContainerHosts } = await import("../containers/index.js");
  const containers = stack.use(await startContainerHosts(started));
  const receiver = stack.use(await startReceiver({ host: containers.receiverHost }));
  return {
    engines: containers.engines,
    hosts: containers.hosts,
    receiver,
    otlpUrl: containers.insideUrl(receiver.httpUrl),
    traceUrl: undefined,
  };
}
