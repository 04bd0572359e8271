import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { execa } from "execa";
import getPort from "get-port";
import { Kafka, logLevel } from "kafkajs";
import { getContainerRuntimeClient } from "testcontainers";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { detectDocker } from "./docker.js";
import { OWNER_LABEL } from "./docker-engine.js";
import { createTopics, type EngineKind, startEngines } from "./index.js";
import { detectLocal } from "./local/index.js";
import type { KafkaPorts } from "./local/kafka.js";
import { pingRedis } from "./ping.js";
import { Scope } from "./scope.js";

const silent = () => {};
// The kind that the suite runs on, or else those that this machine has.
const REQUESTED = process.env.TRACEFERRY_ENGINES || "auto";
const docker = await detectDocker({}, silent, undefined);
const local = await detectLocal({});
const availability = { docker, local };
const wanted = (["docker", "local"] as const).filter(
  (kind) => REQUESTED === "auto" || REQUESTED === kind,
);
// A kind that is missing is reported as skipped. In CI it runs all the same, and fails.
const kinds = wanted.filter((kind) => availability[kind].available || process.env.CI !== undefined);
for (const kind of wanted.filter((each) => !kinds.includes(each))) {
  test.skip(`${kind} engines (skipped: this machine does not have what they need)`);
}

afterEach(() => {
  vi.unstubAllEnvs();
});

describe.each(kinds)("%s engines", (kind) => {
  test("carry a record, answer a PING, and are gone when they are disposed of", async () => {
    const before = await everythingOf(process.pid);
    const engines = await startEngines({ kind, log: silent });
    const during = await everythingOf(process.pid);

    await createTopics(engines.kafkaBrokers, ["greetings"], 2);
    // A second time: topics that exist are no error.
    await createTopics(engines.kafkaBrokers, ["greetings", "farewells"], 2);
    const received = await sendAndReceive(engines.kafkaBrokers, "greetings", "hello");
    await pingRedis(engines.redisUrl);
    expect(received).toBe("hello");
    expect(engines.kind).toBe(kind);
    const printed = engines.logs().split("\n");
    expect(new Set(printed.map((line) => line.split(":")[0]))).toEqual(new Set(["kafka", "redis"]));
    expect(during.length).toBeGreaterThan(before.length);

    await engines[Symbol.asyncDispose]();
    await engines[Symbol.asyncDispose]();
    expect(await everythingOf(process.pid)).toEqual(before);
  });

  test("are only those that are needed", async () => {
    await using engines = await startEngines({ kind, need: { kafka: false }, log: silent });

    await pingRedis(engines.redisUrl);
    expect(() => engines.kafkaBrokers).toThrow("need.kafka: false");
    expect(engines.logs()).not.toContain("kafka");
  });

  test("leave nothing behind when the start is cancelled", async () => {
    const before = await everythingOf(process.pid);
    const controller = new AbortController();
    const engines = startEngines({ kind, log: silent, signal: controller.signal });
    const outcome = expect(engines).rejects.toThrow("enough");

    await vi.waitFor(async () => {
      expect((await everythingOf(process.pid)).join()).toMatch(/redis-server|java|container/);
    }, 20_000);
    controller.abort(new Error("enough"));

    await outcome;
    expect(await everythingOf(process.pid)).toEqual(before);
  });

  test("end on Ctrl-C before the program does", async () => {
    const program = await programWithEngines(kind);

    program.process.kill("SIGINT");

    expect((await program.process).signal).toBe("SIGINT");
    expect(await program.left()).toEqual([]);
  });

  test("end on Ctrl-C during the start too", async () => {
    const program = await programWithEngines(kind, /starting/);

    program.process.kill("SIGINT");

    expect((await program.process).signal).toBe("SIGINT");
    expect(await program.left()).toEqual([]);
  });

  test("end when the program is killed", async () => {
    const program = await programWithEngines(kind);

    program.process.kill("SIGKILL");
    await program.process;

    await vi.waitFor(async () => expect(await program.left()).toEqual([]), 20_000);
  });

  test("that run already are used as external ones, and are not stopped", async () => {
    await using running = await startEngines({ kind, log: silent });
    vi.stubEnv("TRACEFERRY_ENGINES", "");
    vi.stubEnv("KAFKA_BROKERS", running.kafkaBrokers.join(","));
    vi.stubEnv("REDIS_URL", running.redisUrl);
    const logged: string[] = [];

    const engines = await startEngines({ kind: "auto", log: (line) => logged.push(line) });
    await engines[Symbol.asyncDispose]();

    expect(engines.kind).toBe("external");
    expect(engines.kafkaBrokers).toEqual(running.kafkaBrokers);
    expect(logged).toEqual(["engines: external (KAFKA_BROKERS and REDIS_URL are set)"]);
    await pingRedis(running.redisUrl);
  });
});

describe("external engines", () => {
  test("that do not answer are named in the error", async () => {
    const port = await getPort();
    vi.stubEnv("KAFKA_BROKERS", `127.0.0.1:${port}`);
    vi.stubEnv("REDIS_URL", `redis://:secret@127.0.0.1:${port}`);

    await expect(startEngines({ kind: "external", log: silent })).rejects.toThrow(
      `Kafka at 127.0.0.1:${port} (KAFKA_BROKERS) does not answer: `,
    );
    const redis = startEngines({ kind: "external", need: { kafka: false }, log: silent });
    await expect(redis).rejects.toThrow(
      `Redis at the address in REDIS_URL does not answer: connect ECONNREFUSED`,
    );
  });
});

if (kinds.includes("docker")) {
  describe("docker engines that run", () => {
    test("report the one that is killed, with its last lines, and can still be disposed of", async () => {
      const before = await everythingOf(process.pid);
      await using engines = await startEngines({
        kind: "docker",
        need: { kafka: false },
        log: silent,
      });

      const [redis] = await containersOf(process.pid);
      await execa("docker", ["kill", redis?.id ?? ""]);

      await expect(engines.failure).rejects.toThrow(
        /^redis ended with exit code 137\. Its last lines:\n(.*\n)*.*Ready to accept connections/,
      );
      await engines[Symbol.asyncDispose]();
      expect(await everythingOf(process.pid)).toEqual(before);
    });
  });
}

if (kinds.includes("local")) {
  describe("local engines that fail during the start", () => {
    test("report the last lines of a Java that cannot run the broker, and end Redis", async () => {
      vi.stubEnv("JAVA_HOME", await javaThatOnlyTellsItsVersion());
      const before = await everythingOf(process.pid);

      await expect(startEngines({ kind: "local", log: silent })).rejects.toThrow("no heap today");
      expect(await everythingOf(process.pid)).toEqual(before);
    });

    test("report the broker's error about a port in use, and leave nothing behind", async () => {
      const before = await everythingOf(process.pid);
      const [broker, controller] = [await takenPort(), await getPort()];
      const scope = new Scope(silent, undefined);

      await expect(startLocal(scope, async () => ({ broker, controller }))).rejects.toThrow(
        /^kafka did not start, it ended in vain\. It complained:\n(.*\n)*.*Address already in use/,
      );
      await scope.end();
      expect(await everythingOf(process.pid)).toEqual(before);
    });

    test("take another port when one was taken in the last moment", async () => {
      const logged: string[] = [];
      const scope = new Scope((line) => logged.push(line), undefined);
      const ports = [await takenPort(), await getPort()];

      const choosePorts = async () => ({ broker: ports.shift() ?? 0, controller: await getPort() });
      const started = await startLocal(scope, choosePorts);
      await createTopics(started.kafkaBrokers ?? [], ["greetings"], 1);
      await scope.end();

      expect(logged).toContain("Kafka: somebody else took its port, once more with another");
    });
  });
}

async function startLocal(scope: Scope, choosePorts: () => Promise<KafkaPorts>) {
  const availability = await detectLocal({}, choosePorts);
  if (!availability.available) throw new Error(availability.missing.join());
  return availability.start(scope);
}

/** Starts a program that starts engines and stays. Waits until it prints such a line, by default that the engines run. */
async function programWithEngines(kind: EngineKind, until = /^ready$/) {
  const text = `
    import { startEngines } from "./index.js";
    await startEngines({ kind: "${kind}", log: console.log });
    console.log("ready");
    setInterval(() => {}, 60_000);`;
  const child = execa(
    process.execPath,
    ["--import", LOAD_FROM_SOURCES, "--input-type=module", "--eval", text],
    { cwd: import.meta.dirname, reject: false, all: true, buffer: false },
  );
  const { pid } = child;
  if (pid === undefined) throw new Error("node did not start");
  onTestFinished(() => void child.kill("SIGKILL"));
  const logged: string[] = [];
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: child.all }).on("line", (line) => {
      logged.push(line);
      if (until.test(line)) resolve();
    });
    const ended = () => reject(new Error(`the program ended, it said:\n${logged.join("\n")}`));
    child.then(ended, reject);
  });
  const seenBefore = await everythingOf(pid);
  if (until.test("ready")) expect(seenBefore).not.toEqual([]);

  // Children of a dead parent are no longer its descendants: look for those that were seen before.
  const left = async () => {
    const alive = (await processes()).map(describeProcess);
    const containers = (await containersOf(pid)).map(({ title }) => title);
    return [...seenBefore.filter((title) => alive.includes(title)), ...containers];
  };
  return { process: child, left };
}

// Node runs TypeScript by itself, but does not find a .ts file for an import of .js.
const LOAD_FROM_SOURCES = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from "node:module";
  registerHooks({
    resolve(name, context, next) {
      const isOurs = name.startsWith(".") && !context.parentURL?.includes("node_modules");
      return next(isOurs ? name.replace(/\\.js$/, ".ts") : name, context);
    },
  });`)}`;

/** Lists what a process has started and not ended: processes, containers, temporary folders. */
async function everythingOf(pid: number): Promise<string[]> {
  const all = await processes();
  const below = (parent: number): Listed[] =>
    all.filter((each) => each.parent === parent).flatMap((each) => [each, ...below(each.pid)]);
  const started = below(pid)
    .filter(({ command }) => !command.startsWith("ps "))
    .map(describeProcess);
  const scratch = (await readdir(tmpdir())).filter((name) => name.startsWith("traceferry-engines"));
  const containers = (await containersOf(pid)).map(({ title }) => title);
  return [...started, ...containers, ...(pid === process.pid ? scratch : [])];
}

interface Listed {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

function describeProcess({ pid, command }: Listed): string {
  return `${pid} ${command.slice(0, 60)}`;
}

async function processes(): Promise<Listed[]> {
  const { stdout } = await execa("ps", ["-A", "-o", "pid=,ppid=,stat=,args="]);
  return stdout.split("\n").flatMap((line) => {
    const [, pid, parent, state, command] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    if (command === undefined || state?.startsWith("Z")) return [];
    return [{ pid: Number(pid), parent: Number(parent), command }];
  });
}

async function containersOf(pid: number): Promise<{ id: string; title: string }[]> {
  if (!docker.available) return [];
  const client = await getContainerRuntimeClient();
  const filters = { label: [`${OWNER_LABEL}=${pid}`] };
  const availability = await client.container.dockerode.listContainers({ all: true, filters });
  return availability.map(({ Id, Image, State }) => ({
    id: Id,
    title: `container ${Image} ${State}`,
  }));
}

async function sendAndReceive(brokers: string[], topic: string, text: string) {
  const kafka = new Kafka({ clientId: "engines-test", brokers, logLevel: logLevel.NOTHING });
  const producer = kafka.producer();
  const consumer = kafka.consumer({ groupId: "engines-test" });
  try {
    await producer.connect();
    await producer.send({ topic, messages: [{ value: text }] });
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    return await new Promise<string | undefined>((resolve, reject) => {
      consumer
        .run({ eachMessage: async ({ message }) => resolve(message.value?.toString()) })
        .catch(reject);
    });
  } finally {
    await Promise.all([producer.disconnect(), consumer.disconnect()]);
  }
}

async function takenPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

async function javaThatOnlyTellsItsVersion(): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), "bad-java-"));
  onTestFinished(() => rm(home, { recursive: true }));
  await mkdir(join(home, "bin"));
  const file = join(home, "bin", "java");
  const version = 'openjdk version "17.0.99"';
  const script = `[ "$1" = -version ] && echo '${version}' >&2 && exit\necho no heap today >&2; exit 3`;
  await writeFile(file, `#!/bin/sh\n${script}\n`);
  await chmod(file, 0o755);
  return home;
}
