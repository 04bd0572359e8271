import { existsSync } from "node:fs";
import { type ContainerRuntimeClient, getContainerRuntimeClient, ImageName } from "testcontainers";
import { abortable, withProgress } from "./waiting.js";

type Log = (line: string) => void;

// The image by which testcontainers 12.2 removes the containers of a process that died (see its reaper.js).
const RYUK_IMAGE = "testcontainers/ryuk:0.14.0";
const ANSWER_SECONDS = 2;

/** The label of all containers and networks that were created together. Its value is a UUID. */
export const RUN_LABEL = "org.traceferry.run";
/** The label with the id of the process that created a container or network. */
export const OWNER_LABEL = "org.traceferry.process";

/** Connects to the Docker engine. Returns undefined when none answers within two seconds. */
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
 * True when the engine runs beside this process. When this machine is itself a container, testcontainers assumes that the
 * engine runs outside of it and looks for published ports on the engine's bridge. A machine that has that bridge as a
 * network interface runs the engine itself, and finds the ports on loopback.
 */
function isEngineHere(): boolean {
  const { DOCKER_HOST = "unix:" } = process.env;
  return DOCKER_HOST.startsWith("unix:") && existsSync("/sys/class/net/docker0");
}

/** The message for people when no Docker engine answers, with the remedy. */
export const NO_ENGINE =
  "no Docker engine answers: start one (bare Debian, as root: .ci/docker-engine.sh)";

/** Pulls the image unless it is present. Returns the reason, with the remedy, when that is not possible. */
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
    // testcontainers does not report a pull that breaks off in the middle.
    if (await client.image.exists(name)) return undefined;
    return `the image ${image} is not here and its pull broke off: ${hint}`;
  } catch (error) {
    signal?.throwIfAborted();
    return `the image ${image} is not here and cannot be pulled: ${hint} (${reasonOf(error)})`;
  }
}

/**
 * Turns off Ryuk, which removes the containers of a process that died, when its image is neither present nor can be
 * pulled. `Reaper` does the same without an image.
 */
export async function disableRyukUnlessAvailable(client: ContainerRuntimeClient): Promise<void> {
  if (process.env.TESTCONTAINERS_RYUK_DISABLED !== undefined) return;
  const name = ImageName.fromString(process.env.RYUK_CONTAINER_IMAGE ?? RYUK_IMAGE);
  try {
    if (await client.image.exists(name)) return;
    await abortable(AbortSignal.timeout(10_000), client.image.pull(name));
    if (await client.image.exists(name)) return;
  } catch {
    // Not reported: `Reaper` does the same.
  }
  process.env.TESTCONTAINERS_RYUK_DISABLED = "true";
}

/** Removes all containers with this value of RUN_LABEL, running or not. */
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
    // Ryuk, testcontainers or the reaper may have removed it meanwhile.
    if (!/no such container|already in progress/i.test(reasonOf(error))) throw error;
  }
}

/** A Docker network on which containers reach each other by name. */
export interface ContainerNetwork {
  readonly name: string;
}

/**
 * The networking configuration of a container that is on this network only. `withNetwork` of testcontainers would leave
 * it on Docker's default network as well.
 */
export function endpointOn({ name }: ContainerNetwork, alias: string) {
  return { EndpointsConfig: { [name]: { Aliases: [alias] } } };
}

/**
 * Binds published ports to 127.0.0.1 when the engine runs on this machine. testcontainers binds them to all addresses.
 * Changes the object.
 */
export async function publishOnLoopback(
  ports: Record<string, { HostIp?: string | undefined }[]>,
): Promise<void> {
  const client = await getContainerRuntimeClient();
  if (client.info.containerRuntime.host !== "localhost") return;
  for (const bindings of Object.values(ports)) {
    for (const binding of bindings) binding.HostIp = "127.0.0.1";
  }
}

/** The exit code in the answer of Docker's wait for the end of a container. */
export function exitCodeOf(answer: unknown): string {
  const isObject = typeof answer === "object" && answer !== null;
  return isObject && "StatusCode" in answer ? String(answer.StatusCode) : "unknown";
}

/** The message of whatever was thrown. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
