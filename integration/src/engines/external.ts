import type { Availability } from "./choose.js";
import type { Need } from "./options.js";
import { pingKafka, pingRedis } from "./ping.js";
import type { StartEngines } from "./scope.js";

/**
 * Finds out if the environment names engines that run already: KAFKA_BROKERS ("host:port,host:port") and REDIS_URL.
 * They are never stopped.
 */
export async function detectExternal(
  need: Need,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<Availability<StartEngines>> {
  const brokers = (env.KAFKA_BROKERS ?? "")
    .split(",")
    .map((broker) => broker.trim())
    .filter((broker) => broker !== "");
  const redis = env.REDIS_URL ?? "";

  const missing: string[] = [];
  if (need.kafka !== false && brokers.length === 0) missing.push("KAFKA_BROKERS is not set");
  if (need.redis !== false && redis === "") missing.push("REDIS_URL is not set");
  if (missing.length > 0) return { available: false, missing };

  const wanted = [
    ...(need.kafka === false ? [] : ["KAFKA_BROKERS"]),
    ...(need.redis === false ? [] : ["REDIS_URL"]),
  ];
  return {
    available: true,
    reason: `${wanted.join(" and ")} ${wanted.length === 1 ? "is" : "are"} set`,
    start: async (scope) => {
      const started: { kafkaBrokers?: string[]; redisUrl?: string } = {};
      if (need.kafka !== false) {
        await explainingFailure(
          `Kafka at ${brokers.join(",")} (KAFKA_BROKERS)`,
          pingKafka(brokers),
        );
        started.kafkaBrokers = brokers;
      }
      scope.signal.throwIfAborted();
      if (need.redis !== false) {
        // The address may hold a password, so the error names the variable instead.
        await explainingFailure("Redis at the address in REDIS_URL", pingRedis(redis));
        started.redisUrl = redis;
      }
      return started;
    },
  };
}

async function explainingFailure(engine: string, answer: Promise<void>): Promise<void> {
  try {
    await answer;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`${engine} does not answer: ${why}`, { cause: error });
  }
}
