import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Availability } from "../choose.js";
import type { Need } from "../options.js";
import type { Scope, StartEngines, StartedAddresses } from "../scope.js";
import { withProgress } from "../waiting.js";
import { findJava, type Java } from "./java.js";
import { freeKafkaPorts, type KafkaPorts, kafkaHome, kafkaRelease, startKafka } from "./kafka.js";
import { hasMaven } from "./maven.js";
import { findRedis, type RedisSource, startRedis } from "./redis.js";

/**
 * Finds out if engines can run as processes of this machine: Apache Kafka from Maven Central on Java 17 or newer,
 * and a redis-server.
 */
export async function detectLocal(
  need: Need,
  choosePorts = freeKafkaPorts,
): Promise<Availability<StartEngines>> {
  const missing: string[] = [];
  const reasons: string[] = [];
  const toFetch: string[] = [];

  const java = need.kafka === false ? undefined : await findJava();
  if (typeof java === "string") missing.push(java);
  if (typeof java === "object") {
    const release = kafkaRelease();
    reasons.push(`java ${java.version}`, `Kafka ${release.version}`);
    if (!release.isCached) toFetch.push(`Kafka ${release.version}`);
  }
  const redis = need.redis === false ? undefined : await findRedis();
  if (typeof redis === "string") missing.push(redis);
  if (typeof redis === "object") {
    reasons.push(redis.description);
    if (redis.missing !== undefined) toFetch.push(redis.missing);
  }
  if (toFetch.length > 0 && !(await hasMaven())) {
    missing.push(`mvn is not installed: it fetches ${toFetch.join(" and ")} once`);
  }

  if (typeof java === "string" || typeof redis === "string" || missing.length > 0) {
    return { available: false, missing };
  }
  return {
    available: true,
    reason: reasons.join(", "),
    start: (scope) => startLocal(scope, java, redis, choosePorts),
  };
}

async function startLocal(
  scope: Scope,
  java: Java | undefined,
  redis: RedisSource | undefined,
  choosePorts: () => Promise<KafkaPorts>,
): Promise<StartedAddresses> {
  const scratch = mkdtempSync(join(tmpdir(), "traceferry-engines-"));
  scope.reaper.addFolder(scratch);
  scope.onEnd(() => rm(scratch, { recursive: true, force: true }));

  // One after the other: two Maven processes may corrupt each other's local repository.
  const home = java && (await scope.step(() => kafkaHome(scope, java)));
  const server = redis && (await scope.step(() => redis.file(scope)));

  const tasks: (() => Promise<StartedAddresses>)[] = [];
  if (java !== undefined && home !== undefined) {
    const kafka = { java, home, scratch, choosePorts };
    tasks.push(async () => ({ kafkaBrokers: [await startKafka(scope, kafka)] }));
  }
  if (server !== undefined) {
    tasks.push(async () => ({ redisUrl: await startRedis(scope, server, scratch) }));
  }
  const started = await withProgress(scope.log, "local engines: starting", () =>
    scope.parallel(tasks),
  );
  return Object.assign({}, ...started);
}
