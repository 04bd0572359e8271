import { randomUUID } from "node:crypto";
import { createTopics, type EngineAddresses, type Engines } from "../engines/index.js";
import { Scope } from "../engines/scope.js";
import { endOnSignal } from "../engines/signals.js";
import { abortable } from "../engines/waiting.js";
import { PARTITIONS, TOPICS } from "../system/messages.js";
import { type Hosts, processes } from "./hosts.js";
import { GATEWAY, type Implementations, PROVIDER, ROLES, type Role } from "./roles.js";
import type { RoleAddress, RunningRole } from "./running-role.js";

const READY_TIMEOUT_MS = 60_000;
// Where something failed nobody waits for roles that wait for a broker that is gone.
const KILL_AFTER_MS = 3000;

export interface TopologyOptions {
  /**
   * Where this process finds Kafka and Redis, and the roles too, unless their hosts say otherwise. Their failure is
   * the topology's.
   */
  readonly engines: EngineAddresses & Partial<Pick<Engines, "failure">>;
  /** Where the roles export their spans: the OTLP HTTP address. */
  readonly otlpUrl: string;
  /** Hears what is built and started. */
  readonly log: (line: string) => void;
  /** What each role is made of. Default: all of them `ts`. */
  readonly implementations?: Implementations | undefined;
  /** Where the roles run. Default: processes of this machine. */
  readonly hosts?: Hosts | undefined;
  /** For all roles, beside what the topology sets. */
  readonly env?: Readonly<Record<string, string>>;
  /** For one role, by its name. */
  readonly roleEnv?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** An OpenAI-compatible server to use in place of the local provider. */
  readonly providerUrl?: string;
  readonly signal?: AbortSignal | undefined;
}

/** The reference system while it runs. Disposing of it stops the roles, flushed, and waits for them. */
export interface Topology extends AsyncDisposable {
  /** `http://host:port` of the gateway. */
  readonly gatewayUrl: string;
  /** The resource attribute `test.run.id` of every span of this run. */
  readonly runId: string;
  readonly implementations: Implementations;
  /** Rejects when a role or an engine ends before it was asked to; says which and shows its last lines. */
  readonly failure: Promise<never>;
  role(name: string): RunningRole;
  /** `host:port` of a role that serves. */
  addressOf(name: string): string;
  /** Resident memory of all roles together, in MB. */
  rssMb(): Promise<number>;
}

/**
 * Starts every role, each as soon as those it needs have an address, and waits until all are ready. What has to be
 * built for that is built first. When a role cannot start the others are stopped and its last lines are in the error.
 * Roles that are stopped because of a failure or a signal are killed after three seconds.
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
  const broken = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, broken.signal]) : broken.signal;
  engines.failure?.catch((error: unknown) => broken.abort(error));
  const scope = new Scope(log, signal);
  const runId = randomUUID();
  const common = environment(options, runId);
  const running = new Map<string, RunningRole>();
  const addresses = new Map<string, Promise<RoleAddress>>();

  const stop = async (): Promise<void> => {
    // First of all nothing new is started or built.
    await scope.end(new Error("the roles were stopped"));
    const roles = [...running.values()];
    const hurry = (): void => {
      setTimeout(() => void Promise.all(roles.map((role) => role.kill())), KILL_AFTER_MS).unref();
    };
    if (signal.aborted) hurry();
    else signal.addEventListener("abort", hurry);
    await Promise.all(roles.map((role) => role.stop()));
    signal.removeEventListener("abort", hurry);
  };
  // The engines end by the same signal, at the same time.
  const forget = endOnSignal(async () => {
    broken.abort(new Error("the process was told to stop"));
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
      const found = Object.fromEntries(await Promise.all(needed));
      scope.signal.throwIfAborted();
      const child = startRole(role, implementations[role.name] ?? "ts", {
        ...common,
        ...found,
        OTEL_SERVICE_NAME: role.name,
        ...roleEnv[role.name],
      });
      running.set(role.name, child);
      return child.ready(READY_TIMEOUT_MS);
    };
    for (const role of ROLES) {
      const given = role.name === PROVIDER ? providerUrl : undefined;
      addresses.set(
        role.name,
        given === undefined ? start(role) : Promise.resolve({ inside: given, outside: given }),
      );
    }
    await abortable(scope.signal, Promise.all(addresses.values()));
    log(`roles: ready after ${((Date.now() - began) / 1000).toFixed(1)} s`);
  } catch (error) {
    for (const address of addresses.values()) address.catch(() => undefined);
    broken.abort(error);
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
  failure.catch((error: unknown) => broken.abort(error));

  const role = (name: string): RunningRole => {
    const found = running.get(name);
    if (found === undefined) throw new Error(`no role ${name}`);
    return found;
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
      const each = await Promise.all([...running.values()].map((one) => one.memoryMb()));
      return Math.round(each.reduce((sum, mb) => sum + mb, 0));
    },
    [Symbol.asyncDispose]: dispose,
  };
}

/** " (jeeves-gateway python, ...)" of those that are not `ts`. */
function describe(implementations: Implementations): string {
  const others = Object.entries(implementations).filter(
    ([, implementation]) => implementation !== "ts",
  );
  if (others.length === 0) return "";
  return ` (${others.map(([name, implementation]) => `${name} ${implementation}`).join(", ")})`;
}

function environment(
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
    // A span is at the backend within a tenth of a second of its end.
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
