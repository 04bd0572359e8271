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

/** The connection settings of every role. kafkajs's warnings and errors go to stderr, a line each. */
export function kafkaConfig(config: Config, clientId: string): KafkaConfig {
  return {
    clientId,
    brokers: config.KAFKA_BROKERS.split(","),
    logLevel: logLevel.ERROR,
    logCreator: () => printLog,
    retry: { initialRetryTime: 200, retries: 12 },
  };
}

export function createKafka(config: Config, clientId: string): Kafka {
  return new Kafka(kafkaConfig(config, clientId));
}

function printLog({ namespace, log }: LogEntry): void {
  const cause: unknown = log.error;
  process.stderr.write(
    `kafkajs ${namespace}: ${log.message}${typeof cause === "string" ? `: ${cause}` : ""}\n`,
  );
}

/** Short empty polls: a consumer that stops does not wait long for the last of them. */
export const MAX_WAIT_MS = 250;

/**
 * Settles when the consumer has joined its group and asked for records once: from then on it misses none,
 * also where it began at the end of the topic. Call it before `run`.
 */
export function firstFetch(consumer: Consumer): Promise<void> {
  return new Promise((resolve, reject) => {
    const removers = [
      consumer.on(consumer.events.FETCH, () => settle(resolve)),
      // On a broker that has just started the first attempts fail, and kafkajs tries again.
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

/** Sends a reply, partial, final or failed, to the topic that the request names. */
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
