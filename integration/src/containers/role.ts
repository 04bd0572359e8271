import { once } from "node:events";
import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";
import {
  type ContainerRuntimeClient,
  GenericContainer,
  getContainerRuntimeClient,
  Wait,
} from "testcontainers";
import {
  type ContainerNetwork,
  endpointOn,
  exitCodeOf,
  publishOnLoopback,
  reasonOf,
  removeContainer,
} from "../engines/docker-engine.js";
import type { RoleAddress, RunningRole } from "../topology/running-role.js";

const KEPT_LINES = 40;
// Longer than the time limit that a role sets itself.
const KILL_AFTER_S = 9;
// HTTP statuses of Docker for a container that has ended or is gone: not modified, not found, conflict.
const ALREADY_ENDED = new Set([304, 404, 409]);

/** Options of a container with one role, or the collector. */
export interface RoleContainerOptions extends ContainerSettings {
  readonly name: string;
  readonly image: string;
  /** The line of output that says that it is ready. */
  readonly readyLine: RegExp;
  /** The command. Default: that of the image. */
  readonly command: readonly string[] | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly port: number | undefined;
  /** Publishes the port on 127.0.0.1 of this machine. */
  readonly isPublished: boolean;
}

/** Settings that all containers on a network share. */
export interface ContainerSettings {
  readonly labels: Readonly<Record<string, string>>;
  readonly network: ContainerNetwork;
  /** The name and the address of this machine for the containers. */
  readonly extraHost: { readonly host: string; readonly ipAddress: string };
}

/** One role, or the collector, as a container of its own. */
export class RoleContainer implements RunningRole {
  readonly name: string;
  readonly #options: RoleContainerOptions;
  readonly #lines: string[] = [];
  readonly #ready = Promise.withResolvers<void>();
  readonly #created: Promise<string>;
  readonly #exited: Promise<string>;
  #stopping: Promise<void> | undefined;

  constructor(options: RoleContainerOptions) {
    this.name = options.name;
    this.#options = options;
    const created = Promise.withResolvers<string>();
    const exited = Promise.withResolvers<string>();
    this.#created = created.promise;
    this.#exited = exited.promise;
    this.#created.catch(() => undefined);
    this.#exited.catch(() => undefined);
    const container = new UnderlyingContainer(options, async (id) => {
      const { ended } = await this.#watch(id);
      ended.then(exited.resolve, exited.reject);
      created.resolve(id);
    });
    container.start().catch((error: unknown) => {
      // Only errors before its creation: later ones are seen by its end.
      created.reject(error);
      exited.resolve(`before it began (${reasonOf(error)})`);
    });
  }

  get unexpectedEnd(): Promise<Error> {
    return this.#exited.then((how) =>
      this.#stopping !== undefined
        ? new Promise<Error>(() => undefined)
        : new Error(`${this.name} ended ${how}; its last lines:\n${this.lastLines()}`),
    );
  }

  async ready(timeoutMs: number): Promise<RoleAddress> {
    const slow = AbortSignal.timeout(timeoutMs);
    const late = once(slow, "abort").then(() => {
      throw new Error(`${this.name} was not ready in ${timeoutMs} ms:\n${this.lastLines()}`);
    });
    const ended = this.unexpectedEnd.then((error) => {
      throw error;
    });
    await Promise.race([this.#ready.promise, ended, late]);
    return this.#address();
  }

  async #address(): Promise<RoleAddress> {
    const { name, port, isPublished, network } = this.#options;
    if (port === undefined) return { inside: "-", outside: "-" };
    const client = await getContainerRuntimeClient();
    const { NetworkSettings } = await this.#container(client, await this.#created).inspect();
    const published = NetworkSettings.Ports[`${port}/tcp`]?.[0]?.HostPort;
    const outside =
      isPublished && published !== undefined
        ? `${client.info.containerRuntime.host.replace("localhost", "127.0.0.1")}:${published}`
        : `${NetworkSettings.Networks[network.name]?.IPAddress ?? name}:${port}`;
    return { inside: `${name}:${port}`, outside };
  }

  lastLines(): string {
    return this.#lines.length === 0
      ? "  (it printed nothing)"
      : this.#lines.map((line) => `  ${line}`).join("\n");
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#end((container) => container.stop({ t: KILL_AFTER_S }));
    return this.#stopping;
  }

  kill(): Promise<void> {
    this.#stopping ??= this.#end((container) => container.kill());
    return this.#stopping;
  }

  async memoryMb(): Promise<number> {
    const client = await getContainerRuntimeClient();
    const container = this.#container(client, await this.#created);
    const { memory_stats: memory } = await container.stats({ stream: false, "one-shot": true });
    // Without the inactive file cache, which the kernel can free at once, as "docker stats" counts.
    const { inactive_file, total_inactive_file = inactive_file ?? 0 } = memory.stats ?? {};
    return ((memory.usage ?? 0) - total_inactive_file) / 1024 / 1024;
  }

  /** Follows its output from the first line on, and its end. */
  async #watch(id: string): Promise<{ readonly ended: Promise<string> }> {
    const client = await getContainerRuntimeClient();
    const container = this.#container(client, id);
    const output = new PassThrough();
    const stream = await container.attach({ stream: true, stdout: true, stderr: true });
    container.modem.demuxStream(stream, output, output);
    stream.on("end", () => output.end()).on("error", () => output.end());
    const lines = createInterface({ input: output });
    lines.on("line", (line) => {
      if (this.#options.readyLine.test(line)) this.#ready.resolve();
      else if (this.#lines.push(line) > KEPT_LINES) this.#lines.shift();
    });
    const printed = once(lines, "close");
    const ended: Promise<unknown> = container.wait({ condition: "next-exit" });
    const all = Promise.all([ended, printed]);
    return { ended: all.then(([result]) => `with code ${exitCodeOf(result)}`) };
  }

  async #end(ask: (container: ContainerHandle) => Promise<unknown>): Promise<void> {
    const client = await getContainerRuntimeClient();
    const id = await this.#created.catch(() => undefined);
    if (id === undefined) return;
    try {
      await ask(this.#container(client, id));
      await this.#exited;
    } catch (error) {
      if (!hasEndedAlready(error)) throw error;
    }
    await removeContainer(client, id);
  }

  #container(client: ContainerRuntimeClient, id: string): ContainerHandle {
    return client.container.dockerode.getContainer(id);
  }
}

type ContainerHandle = ReturnType<ContainerRuntimeClient["container"]["getById"]>;

/** The container of testcontainers, which calls back once it is created and before it starts. */
class UnderlyingContainer extends GenericContainer {
  readonly #onCreated: (id: string) => Promise<void>;

  constructor(options: RoleContainerOptions, onCreated: (id: string) => Promise<void>) {
    super(options.image);
    this.#onCreated = onCreated;
    const { network, name, command, port, isPublished } = options;
    this.createOpts.NetworkingConfig = endpointOn(network, name);
    this.withNetworkMode(network.name)
      .withLabels(options.labels)
      .withEnvironment(options.env)
      .withExtraHosts([options.extraHost])
      .withDroppedCapabilities("ALL")
      .withSecurityOpt("no-new-privileges:true")
      // RoleContainer waits for the ready line itself.
      .withWaitStrategy(Wait.forAll([]));
    if (command !== undefined) this.withCommand([...command]);
    if (isPublished && port !== undefined) this.withExposedPorts(port);
  }

  protected override beforeContainerCreated(): Promise<void> {
    return publishOnLoopback(this.hostConfig.PortBindings ?? {});
  }

  protected override containerCreated(id: string): Promise<void> {
    return this.#onCreated(id);
  }
}

function hasEndedAlready(error: unknown): boolean {
  const code: unknown = error instanceof Error ? Reflect.get(error, "statusCode") : undefined;
  return typeof code === "number" && ALREADY_ENDED.has(code);
}
