import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Finding } from "./choose.js";
import type { Need } from "./engines.js";
import { findJava, type Java } from "./local/java.js";
import { freePorts, type KafkaPorts, kafkaRelease, startKafka } from "./local/kafka.js";
import { hasMaven } from "./local/maven.js";
import { findRedis, type RedisSource, startRedis } from "./local/redis.js";
import { withProgress } from "./progress.js";
import type { Run, Start, Started } from "./run.js";

/** Engines as processes of this machine: Apache Kafka from Maven Central under a Java 17+, and a redis-server. */
export async function lookLocal(need: Need, choosePorts = freePorts): Promise<Finding<Start>> {
  const missing: string[] = [];
  const because: string[] = [];
  let toFetch = false;

  const java = need.kafka === false ? undefined : await findJava();
  if (typeof java === "string") missing.push(java);
  if (typeof java === "object") {
    const release = kafkaRelease();
    because.push(`java ${java.version}`, `Kafka ${release.version}`);
    toFetch ||= !release.isCached;
  }
  const redis = need.redis === false ? undefined : await findRedis();
  if (typeof redis === "string") missing.push(redis);
  if (typeof redis === "object") {
    because.push(redis.description);
    toFetch ||= redis.needsMaven;
  }
  if (toFetch && !(await hasMaven())) {
    missing.push("mvn does not run: install Maven, it is needed once to fetch what is not cached");
  }

  if (typeof java === "string" || typeof redis === "string" || missing.length > 0) {
    return { works: false, missing };
  }
  return {
    works: true,
    because: because.join(", "),
    start: (run) => startLocal(run, java, redis, choosePorts),
  };
}

async function startLocal(
  run: Run,
  java: Java | undefined,
  redis: RedisSource | undefined,
  choosePorts: () => Promise<KafkaPorts>,
): Promise<Started> {
  const scratch = mkdtempSync(join(tmpdir(), "traceferry-engines-"));
  run.guard.removes(scratch);
  run.atEnd(() => rm(scratch, { recursive: true, force: true }));

  const tasks: (() => Promise<Started>)[] = [];
  if (java !== undefined) {
    tasks.push(async () => ({ kafkaBrokers: [await startKafka(run, java, scratch, choosePorts)] }));
  }
  if (redis !== undefined) {
    tasks.push(async () => ({ redisUrl: await startRedis(run, redis, scratch) }));
  }
  const started = await withProgress(run.say, "local engines: starting", () => run.together(tasks));
  return Object.assign({}, ...started);
}
