import { existsSync } from "node:fs";
import { type ContainerRuntimeClient, getContainerRuntimeClient, ImageName } from "testcontainers";
import { abortable, withProgress } from "./waiting.js";

type Log = (line: string) => void;

// What testcontainers 12.2 uses to remove containers of a process that died (reaper.js).
const RYUK_IMAGE = "testcontainers/ryuk:0.14.0";
const ANSWER_SECONDS = 2;

/** On everything that one run of containers makes; its value is different for each. */
export const RUN_LABEL = "org.traceferry.run";
/** The process that a container was started for: to be found by people, and by the tests. */
export const OWNER_LABEL = "org.traceferry.process";

/** The Docker engine, where one answers within two seconds. */
export async function connectToEngine(): Promise<ContainerRuntimeClient | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ANSWER_SECONDS * 1000);
  });
  if (isEngineHere()) process.env.TESTCONTAINERS_HOST_OVERRIDE ??= "localhost";
  try {
    return await Promise.race([getContainerRuntimeClient(), tooLate]);
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Whether the engine runs beside this process. testcontainers takes a machine that is itself a container for a guest of
 * the engine, and would look for ports on the engine's bridge; one that sees that bridge has its ports on loopback.
 */
function isEngineHere(): boolean {
  const { DOCKER_HOST = "unix:" } = process.env;
  return DOCKER_HOST.startsWith("unix:") && existsSync("/sys/class/net/docker0");
}

/** What is missing where no engine answers, and what to do about it. */
export const NO_ENGINE =
  "no Docker engine answers: start one (bare Debian, as root: .ci/docker-engine.sh)";

/** Pulls the image unless it is here; returns what kept it from being pulled. */
export async function pullUnlessPresent(
  client: ContainerRuntimeClient,
  image: string,
  log: Log,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const name = ImageName.fromString(image);
  if (await client.image.exists(name)) return undefined;
  const hint = "make it here with integration/images/build.sh";
  try {
    await withProgress(log, `${image}: pulling`, () => abortable(signal, client.image.pull(name)));
    // A pull that breaks off in the middle is not reported as an error.
    if (await client.image.exists(name)) return undefined;
    return `the image ${image} is not here and its pull broke off: ${hint}`;
  } catch (error) {
    signal?.throwIfAborted();
    return `the image ${image} is not here and cannot be pulled: ${hint} (${reasonOf(error)})`;
  }
}

/** Ryuk removes our containers when we die. Where its image cannot be had, our guard does. */
export async function disableRyukUnlessAvailable(client: ContainerRuntimeClient): Promise<void> {
  if (process.env.TESTCONTAINERS_RYUK_DISABLED !== undefined) return;
  const name = ImageName.fromString(process.env.RYUK_CONTAINER_IMAGE ?? RYUK_IMAGE);
  try {
    if (await client.image.exists(name)) return;
    await abortable(AbortSignal.timeout(10_000), client.image.pull(name));
    if (await client.image.exists(name)) return;
  } catch {
    // Nothing to tell: the guard does the same.
  }
  process.env.TESTCONTAINERS_RYUK_DISABLED = "true";
}

/** Removes every container of a run, running or not. */
export async function removeContainersOf(
  client: ContainerRuntimeClient,
  runId: string,
): Promise<void> {
  const { dockerode } = client.container;
  const filters = { label: [`${RUN_LABEL}=${runId}`] };
  const containers = await dockerode.listContainers({ all: true, filters });
  await Promise.all(containers.map(({ Id }) => removeContainer(client, Id)));
}

/** Removes one container, running or not. */
export async function removeContainer(client: ContainerRuntimeClient, id: string): Promise<void> {
  try {
    await client.container.dockerode.getContainer(id).remove({ force: true, v: true });
  } catch (error) {
    // Ryuk, testcontainers or the guard may have been quicker.
    if (!/no such container|already in progress/i.test(reasonOf(error))) throw error;
  }
}

/** A network that containers find each other on by name. */
export interface ContainerNetwork {
  readonly name: string;
}

/** The container's place on its network. Testcontainers' own way would leave it on Docker's common network as well. */
export function endpointOn({ name }: ContainerNetwork, alias: string) {
  return { EndpointsConfig: { [name]: { Aliases: [alias] } } };
}

/** Publishes the ports for this machine only, where the engine is on it; testcontainers publishes them for everybody. */
export async function publishOnLoopback(
  ports: Record<string, { HostIp?: string | undefined }[]>,
): Promise<void> {
  const client = await getContainerRuntimeClient();
  if (client.info.containerRuntime.host !== "localhost") return;
  for (const bindings of Object.values(ports)) {
    for (const binding of bindings) binding.HostIp = "127.0.0.1";
  }
}

/** The exit code in the answer to a wait for a container's end. */
export function exitCodeOf(answer: unknown): string {
  const isObject = typeof answer === "object" && answer !== null;
  return isObject && "StatusCode" in answer ? String(answer.StatusCode) : "unknown";
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
