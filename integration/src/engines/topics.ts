import { Kafka, logLevel } from "kafkajs";
import pRetry from "p-retry";

/**
 * Makes sure that the topics exist, and that every partition has a leader, before a client asks for them.
 * Topics that exist already stay as they are. Waits up to 60 seconds for brokers that do not answer yet.
 */
export async function createTopics(
  brokers: readonly string[],
  topics: readonly string[],
  partitions: number,
): Promise<void> {
  const kafka = new Kafka({
    clientId: "traceferry-topics",
    brokers: [...brokers],
    // The retries here replace kafkajs's own: they end, and the last error is the one that is thrown.
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
