import {
  type Consumer,
  Kafka,
  type KafkaConfig,
  type LogEntry,
  logLevel,
  type Producer,
} from "kafkajs";
import type { Config } from "./config.js";
import type { AgentFailure, AgentReply, AgentRequest } from "./messages.js";

/** The connection settings of every role. Errors of kafkajs go to stderr, a line each. */
export function kafkaConfig(config: Config, clientId: string): KafkaConfig {
  return {
    clientId,
    brokers: config.KAFKA_BROKERS.split(","),
    logLevel: logLevel.ERROR,
    logCreator: () => printLog,
    retry: { initialRetryTime: 200, retries: 12 },
  };
}

/** Creates the client of a role. */
export function createKafka(config: Config, clientId: string): Kafka {
  return new Kafka(kafkaConfig(config, clientId));
}

function printLog({ namespace, log }: LogEntry): void {
  const cause: unknown = log.error;
  process.stderr.write(
    `kafkajs ${namespace}: ${log.message}${typeof cause === "string" ? `: ${cause}` : ""}\n`,
  );
}

/** The time limit of an empty poll. It is short, because a consumer that stops waits for the last one. */
export const MAX_WAIT_MS = 250;

/**
 * Waits until the consumer has joined its group and fetched once. From then on it misses no record, even when it began at
 * the end of the topic. Call it before `run`.
 */
export function firstFetch(consumer: Consumer): Promise<void> {
  return new Promise((resolve, reject) => {
    const removers = [
      consumer.on(consumer.events.FETCH, () => settle(resolve)),
      // The first attempts fail on a broker that has just started, and kafkajs tries again.
      consumer.on(consumer.events.CRASH, ({ payload: { error, restart } }) => {
        if (!restart) settle(() => reject(error));
      }),
    ];
    const settle = (act: () => void): void => {
      for (const remove of removers) remove();
      act();
    };
  });
}

type Outcome = Pick<AgentReply, "partial" | "result"> | { readonly failure: AgentFailure };

/** Sends a partial, final or failed reply to the topic that the request names. */
export async function sendReply(
  producer: Pick<Producer, "send">,
  request: Pick<AgentRequest, "requestId" | "agent" | "correlationId" | "replyTopic">,
  outcome: Outcome,
): Promise<void> {
  const { requestId, agent, correlationId, replyTopic } = request;
  const reply: AgentReply = { requestId, agent, correlationId, ...outcome };
  await producer.send({
    topic: replyTopic,
    messages: [
      {
        key: correlationId,
        value: JSON.stringify(reply),
        headers: { "correlation-id": correlationId },
      },
    ],
  });
}
