import { Kafka, logLevel } from "kafkajs";
import pRetry from "p-retry";

/**
 * Creates the topics that do not exist, and waits until every partition has a leader. Existing topics stay as they are.
 * Retries for up to 60 seconds while brokers do not answer.
 */
export async function createTopics(
  brokers: readonly string[],
  topics: readonly string[],
  partitions: number,
): Promise<void> {
  const kafka = new Kafka({
    clientId: "traceferry-topics",
    brokers: [...brokers],
    // The retries below replace kafkajs's own: they end after a minute, with the last error.
    retry: { retries: 0 },
    logLevel: logLevel.NOTHING,
  });
  await pRetry(() => createOnce(kafka, topics, partitions), {
    retries: Number.POSITIVE_INFINITY,
    minTimeout: 100,
    maxTimeout: 1000,
    maxRetryTime: 60_000,
  });
}

async function createOnce(
  kafka: Kafka,
  topics: readonly string[],
  partitions: number,
): Promise<void> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    await admin.createTopics({
      topics: topics.map((topic) => ({ topic, numPartitions: partitions })),
      waitForLeaders: true,
    });
  } finally {
    await admin.disconnect();
  }
}
