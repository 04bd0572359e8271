import { Redis } from "ioredis";
import { Kafka, logLevel } from "kafkajs";

/** Throws unless the Redis there answers a PING. Waits for a connection up to `timeout` ms (default 5 s). */
export async function pingRedis(url: string, timeout = 5_000): Promise<void> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: timeout,
    commandTimeout: timeout,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
  });
  // Without a listener ioredis prints; the promise below tells the same fault.
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

/** Throws unless one of the brokers answers. Waits for it up to `timeout` ms (default 5 s). */
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
