import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { KafkaContainer } from "@testcontainers/kafka";
import {
  type ContainerRuntimeClient,
  GenericContainer,
  getContainerRuntimeClient,
  ImageName,
  Wait,
} from "testcontainers";
import { giveUpOn } from "./abort.js";
import type { Finding } from "./choose.js";
import type { Need } from "./engines.js";
import { withProgress } from "./progress.js";
import type { Run, Start, Started } from "./run.js";

type Say = (line: string) => void;

// Under these names integration/images/build.sh makes images where none can be pulled. The tag of Kafka's has to be
// plain semver, 8.0.0 or newer: @testcontainers/kafka reads from it how the image is started.
const kafkaImage = "confluentinc/cp-kafka:8.0.0";
const redisImage = "redis:7";
// What testcontainers 12.2 uses to remove containers of a process that died (reaper.js).
const reaperImage = "testcontainers/ryuk:0.14.0";

const label = "org.traceferry.run";
/** The process that a container was started for: to be found by people, and by the tests. */
export const ownerLabel = "org.traceferry.process";
const answerSeconds = 2;
const startSeconds = 60;

/** Engines as containers, where a Docker engine answers within two seconds and has the images or can pull them. */
export async function lookDocker(
  need: Need,
  say: Say,
  signal: AbortSignal | undefined,
): Promise<Finding<Start>> {
  const client = await engineThatAnswers();
  if (client === undefined) {
    const hint = "start one (bare Debian, as root: .ci/docker-engine.sh)";
    return { works: false, missing: [`no Docker engine answers: ${hint}`] };
  }
  const images = [
    ...(need.kafka === false ? [] : [kafkaImage]),
    ...(need.redis === false ? [] : [redisImage]),
  ];
  const missing: string[] = [];
  for (const image of images) {
    const problem = await provide(client, image, say, signal);
    if (problem !== undefined) missing.push(problem);
  }
  if (missing.length > 0) return { works: false, missing };
  const { serverVersion } = client.info.containerRuntime;
  return {
    works: true,
    because: `Docker engine ${serverVersion ?? ""} answers and has ${images.join(" and ")}`,
    start: (run) => startDocker(run, client, need),
  };
}

async function engineThatAnswers(): Promise<ContainerRuntimeClient | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), answerSeconds * 1000);
  });
  try {
    return await Promise.race([getContainerRuntimeClient(), tooLate]);
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

/** Pulls the image unless it is here; returns what kept it from being pulled. */
async function provide(
  client: ContainerRuntimeClient,
  image: string,
  say: Say,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const name = ImageName.fromString(image);
  if (await client.image.exists(name)) return undefined;
  const hint = "make it here with integration/images/build.sh";
  try {
    await withProgress(say, `${image}: pulling`, () => giveUpOn(signal, client.image.pull(name)));
    // A pull that breaks off in the middle is not reported as an error.
    if (await client.image.exists(name)) return undefined;
    return `the image ${image} is not here and its pull broke off: ${hint}`;
  } catch (error) {
    signal?.throwIfAborted();
    return `the image ${image} is not here and cannot be pulled: ${hint} (${reasonOf(error)})`;
  }
}

async function startDocker(run: Run, client: ContainerRuntimeClient, need: Need): Promise<Started> {
  await chooseReaper(client);
  const mark = crypto.randomUUID();
  run.guard.removesContainers(`${label}=${mark}`);
  run.atEnd(() => removeAll(client, mark));
  const labels = { [label]: mark, [ownerLabel]: String(process.pid) };

  const tasks: (() => Promise<Started>)[] = [];
  if (need.kafka !== false) {
    tasks.push(() => unlessEnded(run, client, mark, "kafka", startKafka(run, labels)));
  }
  if (need.redis !== false) {
    tasks.push(() => unlessEnded(run, client, mark, "redis", startRedis(run, labels)));
  }
  const started = await withProgress(run.say, "containers: starting", () => run.together(tasks));
  return Object.assign({}, ...started);
}

async function startKafka(run: Run, labels: Record<string, string>): Promise<Started> {
  const container = await new KafkaContainer(kafkaImage)
    .withKraft()
    .withLabels(labels)
    .withEnvironment({ KAFKA_HEAP_OPTS: "-Xms256m -Xmx256m" })
    .withLogConsumer((stream) => keepLines(run, "kafka", stream))
    // Without a strategy of ours it waits for the line of its own starter script, and is "ready" too soon:
    // beforeContainerCreated puts that strategy where selectWaitStrategy looks for its default.
    .withWaitStrategy(Wait.forLogMessage(/Kafka Server started/))
    .withStartupTimeout(startSeconds * 1000)
    .start();
  return { kafkaBrokers: [`${container.getHost()}:${container.getMappedPort(9093)}`] };
}

async function startRedis(run: Run, labels: Record<string, string>): Promise<Started> {
  const container = await new GenericContainer(redisImage)
    .withLabels(labels)
    .withExposedPorts(6379)
    .withCommand([
      ...["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no"],
      ...["--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"],
    ])
    .withLogConsumer((stream) => keepLines(run, "redis", stream))
    .withWaitStrategy(Wait.forLogMessage(/Ready to accept connections/))
    .withStartupTimeout(startSeconds * 1000)
    .start();
  return { redisUrl: `redis://${container.getHost()}:${container.getMappedPort(6379)}` };
}

/** A start of testcontainers cannot be called off. When the run ends, its containers go, and then it gives up by itself. */
async function unlessEnded<T>(
  run: Run,
  client: ContainerRuntimeClient,
  mark: string,
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
    return await giveUpOn(run.signal, start);
  } catch (error) {
    while (run.signal.aborted && !isSettled) {
      await removeAll(client, mark);
      await Promise.race([settled, new Promise((resolve) => setTimeout(resolve, 200))]);
    }
    run.signal.throwIfAborted();
    throw new Error(
      `${name} did not start in its container: ${reasonOf(error)}. ${run.lines.summary(name)}`,
      { cause: error },
    );
  }
}

async function removeAll(client: ContainerRuntimeClient, mark: string): Promise<void> {
  const { dockerode } = client.container;
  const filters = { label: [`${label}=${mark}`] };
  const containers = await dockerode.listContainers({ all: true, filters });
  await Promise.all(
    containers.map(async ({ Id }) => {
      try {
        await dockerode.getContainer(Id).remove({ force: true, v: true });
      } catch (error) {
        // Ryuk, testcontainers or the guard may have been quicker.
        if (!/no such container|already in progress/i.test(reasonOf(error))) throw error;
      }
    }),
  );
}

/** Ryuk removes our containers when we die. Where its image cannot be had, our guard does. */
async function chooseReaper(client: ContainerRuntimeClient): Promise<void> {
  if (process.env.TESTCONTAINERS_RYUK_DISABLED !== undefined) return;
  const name = ImageName.fromString(process.env.RYUK_CONTAINER_IMAGE ?? reaperImage);
  try {
    if (await client.image.exists(name)) return;
    await giveUpOn(AbortSignal.timeout(10_000), client.image.pull(name));
    if (await client.image.exists(name)) return;
  } catch {
    // Nothing to tell: the guard does the same.
  }
  process.env.TESTCONTAINERS_RYUK_DISABLED = "true";
}

function keepLines(run: Run, name: string, stream: Readable): void {
  createInterface({ input: stream }).on("line", (line) => run.lines.add(name, line));
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
