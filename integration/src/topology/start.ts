import { randomUUID } from "node:crypto";
import pidusage from "pidusage";
import { createTopics, type Engines } from "../engines/index.js";
import { endOnSignal } from "../engines/signals.js";
import { PARTITIONS, TOPICS } from "../system/topics.js";
import { RoleProcess } from "./process.js";
import { GATEWAY, PROVIDER, ROLES, type Role } from "./roles.js";

const READY_TIMEOUT_MS = 60_000;

export interface TopologyOptions {
  readonly engines: Pick<Engines, "kafkaBrokers" | "redisUrl">;
  /** Where the roles export their spans: the OTLP HTTP address. */
  readonly otlpUrl: string;
  /** Hears what is started. */
  readonly say: (line: string) => void;
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
  /** Rejects when a role ends before it was asked to; says which and shows its last lines. */
  readonly failure: Promise<never>;
  role(name: string): RoleProcess;
  /** `host:port` of a role that serves. */
  addressOf(name: string): string;
  /** Resident memory of all roles together, in MB. */
  rssMb(): Promise<number>;
}

/**
 * Starts every role as a process of its own, each as soon as those it needs have an address, and waits until
 * all are ready. When one cannot start the others are stopped and its last lines are in the error.
 */
export async function startTopology(options: TopologyOptions): Promise<Topology> {
  const { engines, say, signal, providerUrl, roleEnv = {} } = options;
  signal?.throwIfAborted();
  await createTopics(engines.kafkaBrokers, TOPICS, PARTITIONS);
  const runId = randomUUID();
  const common = environment(options, runId);
  const processes = new Map<string, RoleProcess>();
  const addresses = new Map<string, Promise<string>>();

  const startRole = async (role: Role): Promise<string> => {
    const needed = Object.entries(role.needs).map(async ([variable, name]) => {
      const address = String(await addresses.get(name));
      return [variable, variable.endsWith("_URL") ? httpUrl(address) : address] as const;
    });
    const env = { ...common, ...Object.fromEntries(await Promise.all(needed)) };
    signal?.throwIfAborted();
    const child = new RoleProcess(role.name, role.entry, {
      ...env,
      OTEL_SERVICE_NAME: role.name,
      ...roleEnv[role.name],
    });
    processes.set(role.name, child);
    return child.ready(READY_TIMEOUT_MS);
  };

  const stop = async (): Promise<void> => {
    await Promise.all([...processes.values()].map((child) => child.stop()));
  };
  const forget = endOnSignal(stop);
  const dispose = async (): Promise<void> => {
    await stop();
    await forget();
  };

  const began = Date.now();
  say(`roles: starting ${ROLES.length} processes ...`);
  try {
    for (const role of ROLES) {
      const given = role.name === PROVIDER ? providerUrl : undefined;
      addresses.set(role.name, given === undefined ? startRole(role) : Promise.resolve(given));
    }
    await Promise.all(addresses.values());
    signal?.throwIfAborted();
  } catch (error) {
    await Promise.allSettled(addresses.values());
    await dispose();
    throw error;
  }
  say(`roles: ready after ${((Date.now() - began) / 1000).toFixed(1)} s`);

  const failure = Promise.race([...processes.values()].map((child) => child.unexpectedEnd)).then(
    (error): never => {
      throw error;
    },
  );
  failure.catch(() => undefined);

  const role = (name: string): RoleProcess => {
    const child = processes.get(name);
    if (child === undefined) throw new Error(`no role ${name}`);
    return child;
  };
  const served = new Map(
    await Promise.all(
      [...addresses].map(async ([name, address]) => [name, await address] as const),
    ),
  );
  const addressOf = (name: string): string => {
    const address = served.get(name);
    if (address === undefined) throw new Error(`no address of ${name}`);
    return address;
  };
  return {
    gatewayUrl: `http://${addressOf(GATEWAY)}`,
    runId,
    failure,
    role,
    addressOf,
    rssMb: () => memoryOf([...processes.values()]),
    [Symbol.asyncDispose]: dispose,
  };
}

function environment(
  { engines, otlpUrl, env }: TopologyOptions,
  runId: string,
): Record<string, string> {
  return {
    KAFKA_BROKERS: engines.kafkaBrokers.join(","),
    REDIS_URL: engines.redisUrl,
    OTEL_EXPORTER_OTLP_ENDPOINT: otlpUrl,
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

async function memoryOf(children: readonly RoleProcess[]): Promise<number> {
  const pids = children.flatMap(({ pid }) => pid ?? []);
  const usage = await pidusage(pids);
  const bytes = Object.values(usage).reduce((sum, { memory }) => sum + memory, 0);
  return Math.round(bytes / 1024 / 1024);
}
