import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type OtlpReceiver, startReceiver } from "@traceferry/testkit";
import { execa } from "execa";
import { getContainerRuntimeClient } from "testcontainers";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import "@traceferry/testkit/vitest";
import { BUILD_TIMEOUT_MS, missingBackends } from "./backends/describe.test-support.js";
import { build } from "./containers/builder.js";
import { buildImages, imageName } from "./containers/images.js";
import { type ContainerHosts, startContainerHosts } from "./containers/index.js";
import {
  connectToEngine,
  NO_ENGINE,
  OWNER_LABEL,
  removeContainer,
} from "./engines/docker-engine.js";
import { Scope } from "./engines/scope.js";
import { expectApplicationSpans } from "./suite/application.test-support.js";
import { cannotRun } from "./suite/toolchains.test-support.js";
import { chat } from "./system/chat.js";
import { expectedTrace, startTopology, type Topology } from "./topology/index.js";
import { GATEWAY, type Implementations, POLYGLOT, ROLES, TOOLS } from "./topology/roles.js";

const COLLECTOR = "traceferry/collector:local";
// Every trace is kept, and decided about soon.
const KEEP_EVERYTHING = { keepPercent: 100, decisionWaitMs: 2000, rootWaitMs: 1000 };

const silent = (): void => undefined;
const hasEngine = (await connectToEngine()) !== undefined;
// Without an engine the tests are reported as skipped. In CI they run all the same, and fail.
const noDocker = hasEngine || process.env.CI !== undefined ? undefined : NO_ENGINE;

describe.each<[title: string, implementations: Implementations, most: number]>([
  ["every role in TypeScript, in a container of its own,", {}, 40],
  ["every role in another language that has one, in a container of its own,", POLYGLOT, 140],
])("%s", (title, implementations, mostMb) => {
  const missing = noDocker ?? cannotRun(implementations) ?? missingBackends(["collector"]);
  if (missing !== undefined) {
    test.skip(`${title} (skipped: ${missing})`);
    return;
  }

  let containers: ContainerHosts;
  let receiver: OtlpReceiver;
  let topology: Topology;
  beforeAll(async () => {
    containers = await startContainerHosts({ log: silent });
    receiver = await startReceiver({ host: containers.receiverHost });
    const exportTo = [containers.insideUrl(receiver.httpUrl)];
    const { otlpUrl } = await containers.startCollector({ ...KEEP_EVERYTHING, exportTo });
    topology = await startTopology({
      engines: containers.engines,
      otlpUrl,
      hosts: containers.hosts,
      implementations,
      log: silent,
    });
  }, BUILD_TIMEOUT_MS);
  afterAll(async () => {
    await topology?.[Symbol.asyncDispose]();
    await receiver?.close();
    await containers?.[Symbol.asyncDispose]();
  });

  test.each([false, true])(
    "makes one unbroken trace of a request, by way of the collector, streamed: %s",
    async (stream) => {
      const { services, paths, root } = expectedTrace(implementations);
      const options = { message: "Plan a picnic", sessionId: "session-7", stream };

      const { traceId, reply, requestId } = await chat(topology.gatewayUrl, options);

      expect(reply).toContain("Plan a picnic");
      expect(reply).toContain("The message has 3 words.");
      const spans = await receiver.waitForTrace(traceId, {
        services: [...services],
        quietMs: 3000,
      });
      await expect(spans).toHaveUnbrokenTrace({ traceId, root, paths, services });
      expectApplicationSpans(spans, implementations, { requestId, sessionId: "session-7" });
    },
  );

  test("is healthy by its own health check", async () => {
    await vi.waitFor(
      async () => {
        const all = await Promise.all(
          (await containersOf(process.pid)).map(({ id }) => inspect(id)),
        );
        const ourContainers = all.filter(({ Config }) => Config.Image.startsWith("traceferry/"));
        const health = ourContainers.map(({ State }) => State.Health?.Status);
        expect(health).toEqual([...ROLES, COLLECTOR].map(() => "healthy"));
      },
      { timeout: 40_000, interval: 500 },
    );
  });

  test("runs as an unprivileged user without capabilities", async () => {
    for (const { id, image } of await containersOf(process.pid)) {
      if (!image.startsWith("traceferry/")) continue;
      const { Config, HostConfig } = await inspect(id);
      const users = await usersIn(id);
      expect({ image, user: Config.User }).toEqual({ image, user: "10001:10001" });
      expect({ image, users }).toEqual({ image, users: new Set(["10001"]) });
      expect(HostConfig.CapDrop).toEqual(["ALL"]);
    }
  });

  test("publishes the ports of gateway and engines only, for this machine only", async () => {
    const published = (await containersOf(process.pid)).flatMap(({ image, ports }) =>
      ports.map((port) => `${image} ${port}`),
    );

    const gateway = ROLES.find(({ name }) => name === GATEWAY);
    const name = gateway && imageName(gateway, implementations[GATEWAY] ?? "ts");
    expect(published.sort()).toEqual([
      "confluentinc/cp-kafka:8.0.0 127.0.0.1",
      "redis:7 127.0.0.1",
      `${name} 127.0.0.1`,
    ]);
  });

  test(`has images up to ${mostMb} MB larger than their base, which the roles of a language share`, async () => {
    for (const role of ROLES) {
      const { layers, size } = await imageOf(imageName(role, implementations[role.name] ?? "ts"));
      const foreign = implementations[role.name];
      const shared = await imageOf(`traceferry/roles-${foreign ?? "node"}:local`);
      const base = await imageOf(BASES[foreign ?? "node"] ?? "");
      expect(size - base.size, role.name).toBeLessThan(mostMb * 1e6);
      expect(layers, role.name).toEqual(shared.layers);
      expect(layers.slice(0, base.layers.length), role.name).toEqual(base.layers);
    }
  });

  test("is not built again from the same files", async () => {
    const logged: string[] = [];
    const scope = new Scope((line) => logged.push(line), undefined);

    await buildImages(implementations, scope);

    await scope.end();
    expect(logged).toEqual([]);
  });

  test("is reported by name when it dies", async () => {
    const { dockerode } = (await getContainerRuntimeClient()).container;
    const tools = (await containersOf(process.pid)).find(({ image }) => image.includes(TOOLS));

    await dockerode.getContainer(tools?.id ?? "").kill();

    await expect(topology.failure).rejects.toThrow(
      /^jeeves-tools-worker ended with code 137; its last lines:\n/,
    );
  });

  test("has a collector that is reported by name when it dies", async () => {
    const { dockerode } = (await getContainerRuntimeClient()).container;
    const collector = (await containersOf(process.pid)).find(({ image }) => image === COLLECTOR);

    await dockerode.getContainer(collector?.id ?? "").kill();

    await expect(containers.engines.failure).rejects.toThrow(
      /^collector ended with code 137; its last lines:\n/,
    );
  });

  test("is removed with its network when it is disposed of", async () => {
    expect(await containersOf(process.pid)).not.toEqual([]);
    expect(await networksOf(process.pid)).toHaveLength(1);

    await topology[Symbol.asyncDispose]();
    await containers[Symbol.asyncDispose]();

    expect(await containersOf(process.pid)).toEqual([]);
    expect(await networksOf(process.pid)).toEqual([]);
  });
});

const BASES: Readonly<Record<string, string>> = {
  node: "node:24-bookworm-slim",
  go: "debian:bookworm-slim",
  python: "python:3.11-slim-bookworm",
  java: "eclipse-temurin:17-jre-jammy",
};

const reason = noDocker === undefined ? "" : ` (skipped: ${noDocker})`;
describe.skipIf(noDocker !== undefined)(`containers${reason}`, () => {
  test.each(["SIGINT", "SIGKILL"] as const)(
    "of a program that gets %s are removed, and their network too",
    async (signal) => {
      const { child } = await programWithContainers();
      const { pid = 0 } = child;
      expect(await containersOf(pid)).toHaveLength(2);

      child.kill(signal);

      expect((await child).signal).toBe(signal);
      const left = async () => [...(await containersOf(pid)), ...(await networksOf(pid))];
      await vi.waitFor(async () => expect(await left()).toEqual([]), 20_000);
    },
  );

  test("whose image cannot be built report the output of the build", async () => {
    const client = await getContainerRuntimeClient();
    const context = await mkdtemp(join(tmpdir(), "traceferry-test-"));
    onTestFinished(() => rm(context, { recursive: true }));
    await writeFile(
      join(context, "Dockerfile"),
      `FROM debian:bookworm-slim\nLABEL ${OWNER_LABEL}=${process.pid}\nRUN echo the shelf is empty; exit 3\n`,
    );
    onTestFinished(async () => {
      // The engine keeps the container in which a build failed.
      for (const { id } of await containersOf(process.pid)) await removeContainer(client, id);
    });
    const name = "traceferry/impossible:local";
    const scope = new Scope(silent, undefined);

    const built = build(client, { name, madeFrom: "nothing", arguments: {} }, context, scope);

    await expect(built).rejects.toThrow(
      /^traceferry\/impossible:local could not be built\. .*the shelf is empty\n.*code: 3/s,
    );
    await scope.end();
  });
});

async function containersOf(pid: number) {
  const { dockerode } = (await getContainerRuntimeClient()).container;
  const filters = { label: [`${OWNER_LABEL}=${pid}`] };
  const all = await dockerode.listContainers({ all: true, filters });
  return all.map(({ Id, Image, Ports }) => ({
    id: Id,
    image: Image,
    ports: Ports.flatMap(({ IP, PublicPort }) => (PublicPort === undefined ? [] : [IP])),
  }));
}

async function networksOf(pid: number): Promise<string[]> {
  const { dockerode } = (await getContainerRuntimeClient()).container;
  const filters = { label: [`${OWNER_LABEL}=${pid}`] };
  return (await dockerode.listNetworks({ filters })).map(({ Name }) => Name);
}

async function inspect(id: string) {
  return (await getContainerRuntimeClient()).container.dockerode.getContainer(id).inspect();
}

/** The user ids of the processes in the container. */
async function usersIn(id: string): Promise<Set<string | undefined>> {
  const { dockerode } = (await getContainerRuntimeClient()).container;
  const top: unknown = await dockerode.getContainer(id).top({ ps_args: "-o uid,pid" });
  const processes: unknown = Reflect.get(Object(top), "Processes");
  if (!Array.isArray(processes)) throw new Error(`no processes in ${id}`);
  return new Set(processes.map((columns: unknown) => String(Reflect.get(Object(columns), 0))));
}

async function imageOf(name: string): Promise<{ size: number; layers: string[] }> {
  const { dockerode } = (await getContainerRuntimeClient()).container;
  const { Size, RootFS } = await dockerode.getImage(name).inspect();
  return { size: Size, layers: RootFS.Layers ?? [] };
}

/** Starts a program with Kafka and Redis on a container network. Waits until it is ready. */
async function programWithContainers() {
  const text = `
    import { startContainerHosts } from "${new URL("../dist/containers/index.js", import.meta.url)}";
    await startContainerHosts({ log: () => {} });
    console.log("ready");
    setInterval(() => {}, 60_000);`;
  const child = execa(process.execPath, ["--input-type=module", "--eval", text], {
    reject: false,
    all: true,
    buffer: false,
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const logged: string[] = [];
  for await (const line of createInterface({ input: child.all })) {
    if (line === "ready") return { child };
    logged.push(line);
  }
  throw new Error(`the program ended, it said:\n${logged.join("\n")}`);
}
