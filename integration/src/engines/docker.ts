import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { KafkaContainer } from "@testcontainers/kafka";
import { type ContainerRuntimeClient, GenericContainer, Wait } from "testcontainers";
import type { Availability } from "./choose.js";
import {
  type ContainerNetwork,
  connectToEngine,
  disableRyukUnlessAvailable,
  endpointOn,
  exitCodeOf,
  NO_ENGINE,
  OWNER_LABEL,
  publishOnLoopback,
  pullUnlessPresent,
  RUN_LABEL,
  reasonOf,
  removeContainersOf,
} from "./docker-engine.js";
import type { Need } from "./options.js";
import type { Scope, StartEngines, StartedAddresses } from "./scope.js";
import { abortable, withProgress } from "./waiting.js";

// integration/images/build.sh makes images of these names where they cannot be pulled. Kafka's tag has to be plain
// semver, 8.0.0 or newer: @testcontainers/kafka derives from it how the image is started.
const KAFKA_IMAGE = "confluentinc/cp-kafka:8.0.0";
const REDIS_IMAGE = "redis:7";

// Their host names on a container network.
const KAFKA_ALIAS = "kafka";
const REDIS_ALIAS = "redis";
const START_SECONDS = 60;

/**
 * Finds out if engines can run as containers: a Docker engine answers within two seconds, and has the images or can
 * pull them. With a network they are also reachable there, by the addresses in `inside`.
 */
export async function detectDocker(
  need: Need,
  log: (line: string) => void,
  signal: AbortSignal | undefined,
  network?: ContainerNetwork,
): Promise<Availability<StartEngines>> {
  const client = await connectToEngine();
  if (client === undefined) return { available: false, missing: [NO_ENGINE] };
  const images = [
    ...(need.kafka === false ? [] : [KAFKA_IMAGE]),
    ...(need.redis === false ? [] : [REDIS_IMAGE]),
  ];
  const missing: string[] = [];
  for (const image of images) {
    const problem = await pullUnlessPresent(client, image, log, signal);
    if (problem !== undefined) missing.push(problem);
  }
  if (missing.length > 0) return { available: false, missing };
  const { serverVersion } = client.info.containerRuntime;
  return {
    available: true,
    reason: `Docker engine ${serverVersion ?? ""} answers and has ${images.join(" and ")}`,
    start: (scope) => startDocker(scope, client, need, network),
  };
}

async function startDocker(
  scope: Scope,
  client: ContainerRuntimeClient,
  need: Need,
  network: ContainerNetwork | undefined,
): Promise<StartedAddresses> {
  await disableRyukUnlessAvailable(client);
  const runId = crypto.randomUUID();
  scope.reaper.addContainers(`${RUN_LABEL}=${runId}`);
  scope.onEnd(() => removeContainersOf(client, runId));
  const labels = { [RUN_LABEL]: runId, [OWNER_LABEL]: String(process.pid) };

  const tasks: (() => Promise<StartedAddresses>)[] = [];
  if (need.kafka !== false) {
    const kafka = new Kafka(KAFKA_IMAGE).withLabels(labels).on(network);
    const watch = new ContainerWatch(scope, client, "kafka");
    tasks.push(() => startUnlessEnded(scope, client, runId, "kafka", startKafka(kafka, watch)));
  }
  if (need.redis !== false) {
    const redis = new Redis(REDIS_IMAGE).withLabels(labels).on(network);
    const watch = new ContainerWatch(scope, client, "redis");
    tasks.push(() => startUnlessEnded(scope, client, runId, "redis", startRedis(redis, watch)));
  }
  const started = await withProgress(scope.log, "containers: starting", () =>
    scope.parallel(tasks),
  );
  const inside = { kafkaBrokers: [`${KAFKA_ALIAS}:9092`], redisUrl: `redis://${REDIS_ALIAS}:6379` };
  return Object.assign({}, ...started, network && { inside });
}

class Kafka extends KafkaContainer {
  on(network: ContainerNetwork | undefined): this {
    if (network === undefined) return this;
    this.createOpts.NetworkingConfig = endpointOn(network, KAFKA_ALIAS);
    // The broker advertises its host name to its clients.
    return this.withNetworkMode(network.name).withHostname(KAFKA_ALIAS);
  }

  protected override async beforeContainerCreated(): Promise<void> {
    await super.beforeContainerCreated();
    await publishOnLoopback(this.hostConfig.PortBindings);
  }
}

class Redis extends GenericContainer {
  on(network: ContainerNetwork | undefined): this {
    if (network === undefined) return this;
    this.createOpts.NetworkingConfig = endpointOn(network, REDIS_ALIAS);
    return this.withNetworkMode(network.name);
  }

  protected override beforeContainerCreated(): Promise<void> {
    return publishOnLoopback(this.hostConfig.PortBindings);
  }
}

async function startKafka(kafka: Kafka, watch: ContainerWatch): Promise<StartedAddresses> {
  const container = await kafka
    .withKraft()
    .withEnvironment({ KAFKA_HEAP_OPTS: "-Xms256m -Xmx256m" })
    .withLogConsumer((stream) => watch.keepLines(stream))
    // KafkaContainer's default waits for the line of its own starter script, which comes too soon: its
    // beforeContainerCreated sets that as the default strategy, which selectWaitStrategy falls back to.
    .withWaitStrategy(Wait.forLogMessage(/Kafka Server started/))
    .withStartupTimeout(START_SECONDS * 1000)
    .start();
  void watch.untilEnd(container.getId());
  return { kafkaBrokers: [`${container.getHost()}:${container.getMappedPort(9093)}`] };
}

async function startRedis(redis: Redis, watch: ContainerWatch): Promise<StartedAddresses> {
  const container = await redis
    .withExposedPorts(6379)
    .withCommand([
      ...["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no"],
      ...["--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"],
    ])
    .withLogConsumer((stream) => watch.keepLines(stream))
    .withWaitStrategy(Wait.forLogMessage(/Ready to accept connections/))
    .withStartupTimeout(START_SECONDS * 1000)
    .start();
  void watch.untilEnd(container.getId());
  return { redisUrl: `redis://${container.getHost()}:${container.getMappedPort(6379)}` };
}

/**
 * Waits for the start of a container. testcontainers cannot cancel a start: when the scope is aborted, the containers are
 * removed until the start fails by itself.
 */
async function startUnlessEnded<T>(
  scope: Scope,
  client: ContainerRuntimeClient,
  runId: string,
  name: string,
  start: Promise<T>,
): Promise<T> {
  let isSettled = false;
  const settled = start.then(
    () => undefined,
    () => undefined,
  );
  void settled.then(() => {
    isSettled = true;
  });
  try {
    return await abortable(scope.signal, start);
  } catch (error) {
    while (scope.signal.aborted && !isSettled) {
      await removeContainersOf(client, runId);
      await Promise.race([settled, new Promise((resolve) => setTimeout(resolve, 200))]);
    }
    scope.signal.throwIfAborted();
    throw new Error(
      `${name} did not start in its container: ${reasonOf(error)}. ${scope.lines.summary(name)}`,
      { cause: error },
    );
  }
}

/** Keeps the output of a container, and reports to the scope when it ends unexpectedly. */
class ContainerWatch {
  readonly #scope: Scope;
  readonly #client: ContainerRuntimeClient;
  readonly #name: string;
  readonly #printed = Promise.withResolvers<void>();
  #isEnding = false;

  constructor(scope: Scope, client: ContainerRuntimeClient, name: string) {
    this.#scope = scope;
    this.#client = client;
    this.#name = name;
    // The newest is undone first: this runs before the containers are removed.
    scope.onEnd(async () => {
      this.#isEnding = true;
    });
  }

  keepLines(stream: Readable): void {
    createInterface({ input: stream })
      .on("line", (line) => this.#scope.lines.add(this.#name, line))
      .on("close", this.#printed.resolve);
  }

  /** Waits until the container ends, at the latest with the scope. Never rejects. */
  async untilEnd(id: string): Promise<void> {
    let how: string;
    try {
      const container = this.#client.container.dockerode.getContainer(id);
      const answer: unknown = await container.wait();
      await this.#printed.promise;
      how = `ended with exit code ${exitCodeOf(answer)}`;
    } catch (error) {
      how = `cannot be watched any more (${reasonOf(error)})`;
    }
    if (this.#isEnding || !this.#scope.isOrderly) return;
    this.#scope.lines.add(this.#name, `(${how})`);
    this.#scope.fail(new Error(`${this.#name} ${how}. ${this.#scope.lines.summary(this.#name)}`));
  }
}
