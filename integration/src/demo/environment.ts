import { type OtlpReceiver, startReceiver } from "@traceferry/testkit";
import { type Engines, startEngines } from "../engines/index.js";
import { checkProcesses, type Hosts } from "../topology/hosts.js";
import { startDemoBackend } from "./backend.js";
import type { DemoOptions } from "./options.js";

/** The environment of the roles: engines, the hosts that they run on, and the receiver of their spans. */
export interface DemoEnvironment extends AsyncDisposable {
  readonly engines: Omit<Engines, keyof AsyncDisposable>;
  /** Undefined when the roles are processes of this machine. */
  readonly hosts: Hosts | undefined;
  readonly receiver: OtlpReceiver;
  /** The OTLP address that the roles export to, as seen from them. */
  readonly otlpUrl: string;
  /** The address of the page of a trace in the backend. Undefined without a backend. */
  readonly traceUrl: ((traceId: string) => string) | undefined;
}

interface StartOptions {
  readonly log: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Starts the environment that the options ask for. When one part cannot start, ends the others. */
export async function startEnvironment(
  options: DemoOptions,
  startOptions: StartOptions,
): Promise<DemoEnvironment> {
  await using stack = new AsyncDisposableStack();
  const environment =
    options.hosts === "containers"
      ? await startContainers(startOptions, stack)
      : await startProcesses(options, startOptions, stack);
  const disposables = stack.move();
  return { ...environment, [Symbol.asyncDispose]: () => disposables.disposeAsync() };
}

type EnvironmentParts = Omit<DemoEnvironment, keyof AsyncDisposable>;

async function startProcesses(
  options: DemoOptions,
  startOptions: StartOptions,
  stack: AsyncDisposableStack,
): Promise<EnvironmentParts> {
  await checkProcesses(options.implementations);
  const engines = stack.use(
    await startEngines({ kind: options.engines ?? "auto", ...startOptions }),
  );
  const receiver = stack.use(await startReceiver());
  const backend =
    options.backend && stack.use(await startDemoBackend(receiver.httpUrl, startOptions));
  return {
    engines,
    hosts: undefined,
    receiver,
    otlpUrl: backend?.otlpUrl ?? receiver.httpUrl,
    traceUrl: backend && ((traceId) => backend.traceUrl(traceId)),
  };
}

async function startContainers(
  startOptions: StartOptions,
  stack: AsyncDisposableStack,
): Promise<EnvironmentParts> {
  // Loaded only when it is needed: testcontainers is large.
  const { startContainerHosts } = await import("../containers/index.js");
  const containers = stack.use(await startContainerHosts(startOptions));
  const receiver = stack.use(await startReceiver({ host: containers.receiverHost }));
  return {
    engines: containers.engines,
    hosts: containers.hosts,
    receiver,
    otlpUrl: containers.insideUrl(receiver.httpUrl),
    traceUrl: undefined,
  };
}
