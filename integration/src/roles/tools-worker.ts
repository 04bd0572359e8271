import type { EachMessagePayload, Producer } from "kafkajs";
import { tracedKafka } from "../system/adapters.js";
import { readConfig } from "../system/config.js";
import { createKafka, firstFetch, MAX_WAIT_MS, sendReply } from "../system/kafka.js";
import {
  type AgentRequest,
  agentRequest,
  PARTITIONS,
  parseJson,
  TOOL_REQUESTS,
} from "../system/messages.js";
import { runRole, type Service } from "../system/service.js";
import { inAgentSpan, messageOf } from "../system/spans.js";
import { flushTracing } from "../system/tracing.js";

const NAME = "jeeves-tools-worker";

async function start(): Promise<Service> {
  const kafka = await tracedKafka(createKafka(readConfig(), NAME));
  const producer = kafka.producer();
  const consumer = kafka.consumer({ groupId: NAME, maxWaitTimeInMs: MAX_WAIT_MS });
  await Promise.all([producer.connect(), consumer.connect()]);
  await consumer.subscribe({ topic: TOOL_REQUESTS, fromBeginning: true });
  const fetching = firstFetch(consumer);
  await consumer.run({
    partitionsConsumedConcurrently: PARTITIONS,
    eachMessage: (payload) => work(payload, producer),
  });
  await fetching;
  return {
    stop: async () => {
      await consumer.disconnect();
      await producer.disconnect();
    },
  };
}

async function work({ message }: EachMessagePayload, producer: Producer): Promise<void> {
  const parsed = parseJson(agentRequest, message.value);
  if ("reason" in parsed) {
    // An invalid request has no reply topic.
    process.stderr.write(`${NAME}: dropped a request: ${parsed.reason}\n`);
    return;
  }
  const request = parsed.value;
  await inAgentSpan({ name: "executor", type: "tool" }, async () => {
    await sendReply(producer, request, { result: countWords(request) });
  }).catch((error: unknown) =>
    sendReply(producer, request, { failure: { code: "INTERNAL", message: messageOf(error) } }),
  );
}

/** The tool: counts the words of the message. */
function countWords({ message }: AgentRequest): string {
  const words = message.split(/\s+/).filter((word) => word !== "").length;
  return `The message has ${words} ${words === 1 ? "word" : "words"}.`;
}

await runRole({ name: NAME, start, flush: flushTracing });
