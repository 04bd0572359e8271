import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { cp, mkdir, mkdtemp, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { REPOSITORY_ROOT } from "../paths.js";
import type { Scope } from "../scope.js";
import { isCached, keep } from "./cache.js";
import { Child } from "./child.js";
import type { Java } from "./java.js";
import { maven } from "./maven.js";
import { freePort, onFreePorts, PORT_IN_USE } from "./ports.js";

// The local process and the image run the same jars.
const POM = join(REPOSITORY_ROOT, "integration/images/kafka/pom.xml");
const HEAP = ["-Xms256m", "-Xmx256m"];
// These favour a quick start over throughput. A JVM ignores those that it does not know.
const QUICK_START = [
  "-XX:+IgnoreUnrecognizedVMOptions",
  "-XX:TieredStopAtLevel=1",
  "-XX:+UseSerialGC",
];

/** The two ports of a broker that is its own controller. */
export interface KafkaPorts {
  readonly broker: number;
  readonly controller: number;
}

/** The version of Kafka, and the name of its folder in the cache, which changes with the list of jars. */
export function kafkaRelease(): { version: string; name: string; isCached: boolean } {
  const text = readFileSync(POM, "utf8");
  const version = /<kafka\.version>(.*)<\/kafka\.version>/.exec(text)?.[1];
  if (version === undefined) throw new Error(`${POM} does not say kafka.version`);
  // integration/images/build.sh takes the jars from the same folder.
  const name = `kafka-${createHash("sha256").update(text).digest("hex").slice(0, 12)}`;
  return { version, name, isCached: isCached(name) };
}

/** Finds two free ports. */
export async function freeKafkaPorts(): Promise<KafkaPorts> {
  return { broker: await freePort(), controller: await freePort() };
}

/** Options of `startKafka`. */
export interface KafkaOptions {
  readonly java: Java;
  /** The result of `kafkaHome`. */
  readonly home: string;
  /** A folder for temporary files. */
  readonly scratch: string;
  readonly choosePorts: () => Promise<KafkaPorts>;
}

/** Starts one broker on 127.0.0.1. Returns its address. */
export function startKafka(scope: Scope, options: KafkaOptions): Promise<string> {
  return onFreePorts(scope, "Kafka", options.choosePorts, async (ports) => {
    const folder = await mkdtemp(join(options.scratch, "kafka-"));
    await startBroker(scope, options, folder, ports);
    return `127.0.0.1:${ports.broker}`;
  });
}

async function startBroker(
  scope: Scope,
  { java, home }: KafkaOptions,
  folder: string,
  ports: KafkaPorts,
): Promise<void> {
  const logs = join(folder, "logs");
  await cp(join(home, "formatted"), logs, { recursive: true });
  const file = join(folder, "server.properties");
  await writeFile(file, properties(logs, ports));

  const archive = join(home, `java-${java.build}.jsa`);
  const newArchive = existsSync(archive) ? undefined : `${archive}.part-${process.pid}`;
  const child = new Child(scope, {
    name: "kafka",
    file: java.file,
    fatalLine: PORT_IN_USE,
    arguments: [
      ...HEAP,
      ...QUICK_START,
      "-Xlog:cds=off,cds+dynamic=off",
      newArchive ? `-XX:ArchiveClassesAtExit=${newArchive}` : `-XX:SharedArchiveFile=${archive}`,
      ...["-cp", join(home, "libs", "*"), "kafka.Kafka", file],
    ],
  });
  if (newArchive !== undefined) {
    scope.reaper.addFolder(newArchive);
    scope.onEnd(() => keepClassArchive(scope, child, newArchive, archive));
  }
  await child.until(child.prints(/Kafka Server started/));
}

/** Keeps the class archive of the first broker that is stopped in order. Later ones start in half the time. */
async function keepClassArchive(
  scope: Scope,
  child: Child,
  newArchive: string,
  archive: string,
): Promise<void> {
  try {
    if (!scope.isOrderly || child.hasEnded) return;
    scope.log("Kafka: keeping its loaded classes for a quicker start next time");
    await child.kill("SIGTERM");
    const isWritten = existsSync(newArchive) && (await stat(newArchive)).size > 0;
    if (isWritten) await rename(newArchive, archive);
  } finally {
    await rm(newArchive, { force: true });
  }
}

/**
 * Returns the folder of Kafka in the cache, filled first when it is missing: `libs` holds the jars, `formatted` an empty
 * storage, because formatting one takes longer than a copy.
 */
export async function kafkaHome(scope: Scope, java: Java): Promise<string> {
  const { name, version } = kafkaRelease();
  return keep(scope, name, async (part) => {
    const libs = join(part, "libs");
    const goal = ["-f", POM, "dependency:copy-dependencies", `-DoutputDirectory=${libs}`];
    await maven(scope, `Kafka ${version}`, goal);
    const formatted = join(part, "formatted");
    await mkdir(formatted);
    await format(scope, java, libs, formatted);
  });
}

async function format(scope: Scope, java: Java, libs: string, folder: string): Promise<void> {
  const file = `${folder}.properties`;
  // The ports are not part of the formatted storage.
  await writeFile(file, properties(folder, { broker: 9092, controller: 9093 }));
  const classes = ["-cp", join(libs, "*"), "kafka.tools.StorageTool"];
  const cluster = "VHJhY2VmZXJyeSB0ZXN0cw"; // 16 bytes in base64: all that is asked of a cluster's id
  const result = await execa(
    java.file,
    [...QUICK_START, ...classes, "format", "-t", cluster, "-c", file],
    { all: true, reject: false, cancelSignal: scope.signal },
  );
  scope.signal.throwIfAborted();
  if (result.failed) throw new Error(`Kafka's storage could not be formatted:\n${result.all}`);
}

function properties(logs: string, ports: KafkaPorts): string {
  const broker = `PLAINTEXT://127.0.0.1:${ports.broker}`;
  return [
    "process.roles=broker,controller",
    "node.id=1",
    `controller.quorum.voters=1@127.0.0.1:${ports.controller}`,
    `listeners=${broker},CONTROLLER://127.0.0.1:${ports.controller}`,
    `advertised.listeners=${broker}`,
    "controller.listener.names=CONTROLLER",
    "inter.broker.listener.name=PLAINTEXT",
    "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    // A backslash or a leading space would need escaping; temporary folders have neither.
    `log.dirs=${logs}`,
    // There is one broker, and no test waits for a second member of a group.
    "offsets.topic.replication.factor=1",
    "offsets.topic.num.partitions=1",
    "transaction.state.log.replication.factor=1",
    "transaction.state.log.min.isr=1",
    "share.coordinator.state.topic.replication.factor=1",
    "share.coordinator.state.topic.min.isr=1",
    "group.initial.rebalance.delay.ms=0",
    "num.partitions=1",
    "auto.create.topics.enable=true",
    "",
  ].join("\n");
}
