import { once } from "node:events";
import { createServer } from "node:net";
import {
  type ContainerRuntimeClient,
  getReaper,
  LABEL_TESTCONTAINERS_SESSION_ID,
} from "testcontainers";
import type { CollectorSettings } from "../backends/collector.js";
import { detectDocker } from "../engines/docker.js";
import {
  type ContainerNetwork,
  connectToEngine,
  disableRyukUnlessAvailable,
  NO_ENGINE,
  OWNER_LABEL,
  RUN_LABEL,
  reasonOf,
  removeContainersOf,
} from "../engines/docker-engine.js";
import type { EngineAddresses, Engines } from "../engines/index.js";
import { Scope } from "../engines/scope.js";
import { endOnSignal, SIGNAL_RECEIVED } from "../engines/signals.js";
import { abortable } from "../engines/waiting.js";
import { type Hosts, nodeCommand } from "../topology/hosts.js";
import { GATEWAY } from "../topology/roles.js";
import { createCollector } from "./collector.js";
import { buildImages, imageName } from "./images.js";
import { APP } from "./recipes.js";
import { type ContainerSettings, RoleContainer } from "./role.js";

// The name of this machine in the containers.
const HOST_ALIAS = "host.docker.internal";
const COLLECTOR_START_MS = 30_000;

/** Options of `startContainerHosts`. */
export interface ContainerHostsOptions {
  /** Takes lines of progress: what is built and started. */
  readonly log: (line: string) => void;
  /** Cancels the start, and ends everything. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * A container network with Kafka and Redis, on which roles and the collector are started. Disposing of it ends all of them.
 */
export interface ContainerHosts extends AsyncDisposable {
  /** The engines, with their addresses for this process. `failure` also rejects for the collector. */
  readonly engines: Omit<Engines, keyof AsyncDisposable>;
  /** The hosts for `startTopology`. */
  readonly hosts: Hosts;
  /** The address that a server of this process listens on to be reachable for the roles, such as the OTLP receiver. */
  readonly receiverHost: string;
  /** The URL of such a server as the roles see it. */
  insideUrl(url: string): string;
  /**
   * Starts the OpenTelemetry Collector, once. It is built first unless it is in the cache, which takes minutes. It exports
   * to URLs as containers see them (`insideUrl`), and ends after the roles.
   */
  startCollector(settings: CollectorSettings): Promise<ContainerCollector>;
}

interface ContainerCollector {
  /** Its address for the roles: the `otlpUrl` of `startTopology`. */
  readonly otlpUrl: string;
}

/** Creates a container network and starts Kafka and Redis on it. @throws what is missing */
export async function startContainerHosts(options: ContainerHostsOptions): Promise<ContainerHosts> {
  const { log, signal } = options;
  signal?.throwIfAborted();
  const client = await connectToEngine();
  if (client === undefined) throw new Error(NO_ENGINE);
  const scope = new Scope(log, signal);
  const forget = endOnSignal(() => scope.end(new Error(SIGNAL_RECEIVED)));
  const dispose = async (): Promise<void> => {
    await scope.end();
    await forget();
  };
  try {
    const network = await scope.step(() => createNetwork(scope, client));
    const { engines, inside } = await scope.step(() => startEngines(scope, network));
    const roles: RoleContainer[] = [];
    const collectors: Promise<RoleContainer>[] = [];
    // The newest is undone first: the roles end before the engines, and export their last spans to the collector.
    scope.onEnd(async () => {
      await Promise.all(roles.map((role) => role.stop()));
      const settled = await Promise.allSettled(collectors);
      await Promise.all(
        settled.map((result) => result.status === "fulfilled" && result.value.stop()),
      );
      await removeContainersOf(client, network.runId);
    });
    scope.signal.throwIfAborted();
    return {
      engines,
      hosts: hostsOn(network, inside, roles),
      receiverHost: network.isLocal ? network.gateway : "127.0.0.1",
      insideUrl: (url) => {
        const inside = new URL(url);
        inside.hostname = HOST_ALIAS;
        return inside.href.replace(/\/$/, "");
      },
      startCollector: async (settings) => {
        if (collectors.length > 0) throw new Error("the collector was started before");
        const starting = createCollector(client, settings, containerSettings(network), scope);
        collectors.push(starting);
        return scope.step(() => untilReady(scope, starting));
      },
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Starts the engines in the scope of the network, which can only be removed after them. */
async function startEngines(scope: Scope, network: ContainerNetwork) {
  const availability = await detectDocker({}, scope.log, scope.signal, network);
  if (!availability.available) throw new Error(availability.missing.join("\n"));
  scope.log(`engines: docker (${availability.reason})`);
  const { kafkaBrokers, redisUrl, inside } = await availability.start(scope);
  if (kafkaBrokers === undefined || redisUrl === undefined || inside === undefined) {
    throw new Error("the engines have no addresses");
  }
  const engines = {
    kind: "docker" as const,
    reason: availability.reason,
    kafkaBrokers,
    redisUrl,
    failure: scope.failure,
    logs: () => scope.lines.all(),
  };
  return { engines, inside };
}

/** A container network, and the address of this machine on it. */
interface BridgeNetwork extends ContainerNetwork {
  readonly runId: string;
  readonly gateway: string;
  /** True when the gateway is an address of this machine. It is not when the engine runs in a virtual machine. */
  readonly isLocal: boolean;
}

async function createNetwork(scope: Scope, client: ContainerRuntimeClient): Promise<BridgeNetwork> {
  await disableRyukUnlessAvailable(client);
  const { sessionId } = await getReaper(client);
  const runId = crypto.randomUUID();
  const name = `traceferry-${runId.slice(0, 8)}`;
  scope.reaper.addNetwork(name);
  const { dockerode } = client.container;
  const network = await dockerode.createNetwork({
    Name: name,
    CheckDuplicate: true,
    Driver: "bridge",
    Labels: {
      [RUN_LABEL]: runId,
      [OWNER_LABEL]: String(process.pid),
      [LABEL_TESTCONTAINERS_SESSION_ID]: sessionId,
    },
  });
  scope.onEnd(async () => {
    try {
      await network.remove();
    } catch (error) {
      // Ryuk or the reaper may have removed it meanwhile.
      if (!/not found|no such network/i.test(reasonOf(error))) throw error;
    }
  });
  const gateway = gatewayIn(await network.inspect());
  if (gateway === undefined) throw new Error(`the network ${name} has no gateway`);
  return { name, runId, gateway, isLocal: await canListenOn(gateway) };
}

/** Tries to listen on the address: the interface of a network without containers is not listed yet. */
async function canListenOn(address: string): Promise<boolean> {
  const server = createServer().listen(0, address);
  try {
    await once(server, "listening");
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}

function gatewayIn(network: unknown): string | undefined {
  const ipam = field(network, "IPAM");
  const config = field(ipam, "Config");
  const gateway: unknown = Array.isArray(config) ? field(config[0], "Gateway") : undefined;
  return typeof gateway === "string" && gateway !== "" ? gateway : undefined;
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

function hostsOn(network: BridgeNetwork, inside: EngineAddresses, roles: RoleContainer[]): Hosts {
  return {
    engines: inside,
    prepare: async (implementations, scope) => {
      await buildImages(implementations, scope);
      return (role, implementation, env) => {
        const isVariant = implementation === "stock" || implementation === "bare";
        const command = nodeCommand(role, implementation, `${APP}/integration/dist`, "node");
        const container = new RoleContainer({
          ...containerSettings(network),
          readyLine: new RegExp(`^READY ${role.name} `),
          name: role.name,
          image: imageName(role, implementation),
          command: isVariant ? [command.file, ...command.arguments] : undefined,
          env: { ...env, ...(isVariant && command.env) },
          port: role.port,
          isPublished: role.name === GATEWAY,
        });
        roles.push(container);
        return container;
      };
    },
  };
}

async function untilReady(
  scope: Scope,
  starting: Promise<RoleContainer>,
): Promise<ContainerCollector> {
  const collector = await abortable(scope.signal, starting);
  const { inside } = await abortable(scope.signal, collector.ready(COLLECTOR_START_MS));
  const fail = (error: unknown): void =>
    scope.fail(error instanceof Error ? error : new Error(String(error)));
  void collector.unexpectedEnd.then(fail, fail);
  return { otlpUrl: `http://${inside}` };
}

function containerSettings(network: BridgeNetwork): ContainerSettings {
  const { runId, gateway, isLocal } = network;
  return {
    labels: { [RUN_LABEL]: runId, [OWNER_LABEL]: String(process.pid) },
    network,
    extraHost: { host: HOST_ALIAS, ipAddress: isLocal ? gateway : "host-gateway" },
  };
}
