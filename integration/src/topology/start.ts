import { randomUUID } from "node:crypto";
import { createTopics, type EngineAddresses, type Engines } from "../engines/index.js";
import { Scope } from "../engines/scope.js";
import { endOnSignal, SIGNAL_RECEIVED } from "../engines/signals.js";
import { abortable } from "../engines/waiting.js";
import { PARTITIONS, TOPICS } from "../system/messages.js";
import { type Hosts, processes } from "./hosts.js";
import { GATEWAY, type Implementations, PROVIDER, ROLES, type Role } from "./roles.js";
import type { RoleAddress, RunningRole } from "./running-role.js";

const READY_TIMEOUT_MS = 60_000;
// After a failure roles may wait in vain for a broker that is gone.
const KILL_AFTER_MS = 3000;

/** Options of `startTopology`. */
export interface TopologyOptions {
  /**
   * The engines, by their addresses for this process. The roles use the same, unless `hosts` has others. A failure of the
   * engines is one of the topology.
   */
  readonly engines: EngineAddresses & Partial<Pick<Engines, "failure">>;
  /** The OTLP HTTP address that the roles export their spans to. */
  readonly otlpUrl: string;
  /** Takes lines of progress: what is built and started. */
  readonly log: (line: string) => void;
  /** The implementation of each role. Default: `ts`. */
  readonly implementations?: Implementations | undefined;
  /** The hosts of the roles. Default: processes of this machine. */
  readonly hosts?: Hosts | undefined;
  /** Environment variables for all roles, which override those of the topology. */
  readonly env?: Readonly<Record<string, string>>;
  /** Environment variables for one role, by its name. */
  readonly roleEnv?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** The address of an OpenAI-compatible server. Default: the local provider. */
  readonly providerUrl?: string;
  /** Cancels the start, and ends the roles at once. */
  readonly signal?: AbortSignal | undefined;
}

/** The reference system while it runs. Disposing of it stops the roles, which send their last spans, and waits for them. */
export interface Topology extends AsyncDisposable {
  /** `http://host:port` of the gateway. */
  readonly gatewayUrl: string;
  /** The resource attribute `test.run.id` of every span of this run. */
  readonly runId: string;
  /** The implementation of each role. */
  readonly implementations: Implementations;
  /** Rejects when a role or an engine ends unexpectedly, with its name and its last lines. */
  readonly failure: Promise<never>;
  /** One role by its name. @throws when there is none of that name */
  role(name: string): RunningRole;
  /** `host:port` of a role that serves, for this process. */
  addressOf(name: string): string;
  /** The resident memory of all roles together, in MB. */
  rssMb(): Promise<number>;
}

/**
 * Builds and starts every role, each as soon as those it needs have an address, and waits until all are ready. Roles that
 * are stopped because of a failure or a signal are killed after three seconds.
 *
 * @throws with the last lines of a role that cannot start, after the others are stopped
 */
export async function startTopology(options: TopologyOptions): Promise<Topology> {
  const {
    engines,
    log,
    providerUrl,
    roleEnv = {},
    implementations = {},
    hosts = processes,
  } = options;
  options.signal?.throwIfAborted();
  const controller = new AbortController();
  const signal = options.signal
    ? AbortSignal.any([options.signal, controller.signal])
    : controller.signal;
  engines.failure?.catch((error: unknown) => controller.abort(error));
  const scope = new Scope(log, signal);
  const runId = randomUUID();
  const common = commonEnv(options, runId);
  const running = new Map<string, RunningRole>();
  const addresses = new Map<string, Promise<RoleAddress>>();

  const stop = async (): Promise<void> => {
    // First, so that nothing new is started or built.
    await scope.end(new Error("the roles were stopped"));
    const roles = [...running.values()];
    const killSoon = (): void => {
      setTimeout(() => void Promise.all(roles.map((role) => role.kill())), KILL_AFTER_MS).unref();
    };
    if (signal.aborted) killSoon();
    else signal.addEventListener("abort", killSoon);
    await Promise.all(roles.map((role) => role.stop()));
    signal.removeEventListener("abort", killSoon);
  };
  // The engines end on the same signal, at the same time.
  const forget = endOnSignal(async () => {
    controller.abort(new Error(SIGNAL_RECEIVED));
    await stop();
  });
  const dispose = async (): Promise<void> => {
    await stop();
    await forget();
  };

  try {
    const startRole = await hosts.prepare(implementations, scope);
    await abortable(scope.signal, createTopics(engines.kafkaBrokers, TOPICS, PARTITIONS));
    const began = Date.now();
    log(`roles: starting ${ROLES.length}${describe(implementations)} ...`);
    const start = async (role: Role): Promise<RoleAddress> => {
      const needed = Object.entries(role.needs).map(async ([variable, name]) => {
        const address = (await addresses.get(name))?.inside ?? "";
        return [variable, variable.endsWith("_URL") ? httpUrl(address) : address] as const;
      });
      const neededAddresses = Object.fromEntries(await Promise.all(needed));
      scope.signal.throwIfAborted();
      const child = startRole(role, implementations[role.name] ?? "ts", {
        ...common,
        ...neededAddresses,
        OTEL_SERVICE_NAME: role.name,
        ...roleEnv[role.name],
      });
      running.set(role.name, child);
      return child.ready(READY_TIMEOUT_MS);
    };
    for (const role of ROLES) {
      const externalUrl = role.name === PROVIDER ? providerUrl : undefined;
      addresses.set(
        role.name,
        externalUrl === undefined
          ? start(role)
          : Promise.resolve({ inside: externalUrl, outside: externalUrl }),
      );
    }
    await abortable(scope.signal, Promise.all(addresses.values()));
    log(`roles: ready after ${((Date.now() - began) / 1000).toFixed(1)} s`);
  } catch (error) {
    for (const address of addresses.values()) address.catch(() => undefined);
    controller.abort(error);
    await dispose();
    throw error;
  }

  const ends = [...running.values()].map((role) => role.unexpectedEnd);
  const roleFailure = Promise.race(ends).then((error): never => {
    throw error;
  });
  const failure = Promise.race([
    roleFailure,
    ...(engines.failure === undefined ? [] : [engines.failure]),
  ]);
  failure.catch((error: unknown) => controller.abort(error));

  const role = (name: string): RunningRole => {
    const child = running.get(name);
    if (child === undefined) throw new Error(`no role ${name}`);
    return child;
  };
  const served = new Map<string, RoleAddress>();
  for (const [name, address] of addresses) served.set(name, await address);
  const addressOf = (name: string): string => {
    const address = served.get(name);
    if (address === undefined) throw new Error(`no address of ${name}`);
    return address.outside;
  };
  return {
    gatewayUrl: `http://${addressOf(GATEWAY)}`,
    runId,
    implementations,
    failure,
    role,
    addressOf,
    rssMb: async () => {
      const memoryMb = await Promise.all([...running.values()].map((child) => child.memoryMb()));
      return Math.round(memoryMb.reduce((sum, mb) => sum + mb, 0));
    },
    [Symbol.asyncDispose]: dispose,
  };
}

/** " (jeeves-gateway python, ...)": the implementations that are not `ts`. */
function describe(implementations: Implementations): string {
  const others = Object.entries(implementations).filter(
    ([, implementation]) => implementation !== "ts",
  );
  if (others.length === 0) return "";
  return ` (${others.map(([name, implementation]) => `${name} ${implementation}`).join(", ")})`;
}

function commonEnv(
  { engines, hosts, otlpUrl, env }: TopologyOptions,
  runId: string,
): Record<string, string> {
  const seen = hosts?.engines ?? engines;
  return {
    KAFKA_BROKERS: seen.kafkaBrokers.join(","),
    REDIS_URL: seen.redisUrl,
    OTEL_EXPORTER_OTLP_ENDPOINT: otlpUrl,
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf",
    OTEL_TRACES_EXPORTER: "otlp",
    OTEL_METRICS_EXPORTER: "none",
    OTEL_LOGS_EXPORTER: "none",
    // A span is exported within a tenth of a second of its end.
    OTEL_BSP_SCHEDULE_DELAY: "40",
    OTEL_RESOURCE_ATTRIBUTES: `service.version=0.1.0,deployment.environment.name=demo,test.run.id=${runId}`,
    OTEL_NODE_RESOURCE_DETECTORS: "env,serviceinstance",
    PROVIDER_DIRECTIVES: "true",
    ...env,
  };
}

function httpUrl(address: string): string {
  return address.startsWith("http") ? address : `http://${address}`;
}
