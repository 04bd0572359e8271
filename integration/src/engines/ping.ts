import { Redis } from "ioredis";
import { Kafka, logLevel } from "kafkajs";

/** Sends a PING to Redis. @param timeout - in milliseconds @throws when it does not answer in time */
export async function pingRedis(url: string, timeout = 5_000): Promise<void> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: timeout,
    commandTimeout: timeout,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
  });
  // Without a listener ioredis prints the error, which is also thrown below.
  let fault: Error | undefined;
  redis.on("error", (error) => {
    fault = error;
  });
  try {
    await redis.connect();
    await redis.ping();
  } catch (error) {
    throw fault ?? error;
  } finally {
    redis.disconnect();
  }
}

/** Asks the brokers to describe their cluster. @param timeout - in milliseconds @throws when none answers in time */
export async function pingKafka(brokers: readonly string[], timeout = 5_000): Promise<void> {
  const admin = new Kafka({
    clientId: "traceferry-engines",
    brokers: [...brokers],
    connectionTimeout: timeout,
    requestTimeout: timeout,
    retry: { retries: 0 },
    logLevel: logLevel.NOTHING,
  }).admin();
  try {
    await admin.connect();
    await admin.describeCluster();
  } finally {
    await admin.disconnect();
  }
}
