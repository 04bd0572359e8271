import { status } from "@grpc/grpc-js";
import { Worker } from "bullmq";
import { Redis } from "ioredis";
import type { Producer } from "kafkajs";
import { z } from "zod";
import { clientOptions, queueTelemetry, tracedKafka } from "../system/adapters.js";
import { readConfig } from "../system/config.js";
import { loadService, ServiceClient } from "../system/grpc.js";
import { createKafka, sendReply } from "../system/kafka.js";
import {
  type AgentFailure,
  type AgentRequest,
  agentRequest,
  PLANNER_QUEUE,
} from "../system/messages.js";
import { runRole, type Service } from "../system/service.js";
import { inAgentSpan, messageOf } from "../system/spans.js";
import { flushTracing } from "../system/tracing.js";

const NAME = "jeeves-planner-worker";
const CONCURRENCY = 20;
const LLM_DEADLINE_MS = 15_000;
// The text is sent in few, batched replies, because each is a message in the trace.
const MAX_PARTIALS = 10;
const PARTIAL_CHARACTERS = 40;

const generateReply = z.object({ text: z.string() });
const generateChunk = z.object({ text: z.string(), done: generateReply.nullish() });

async function start(): Promise<Service> {
  const config = readConfig();
  const kafka = await tracedKafka(createKafka(config, NAME));
  const producer = kafka.producer();
  await producer.connect();
  const llm = new ServiceClient(
    config.LLM_GATEWAY_ADDRESS,
    loadService("llm.proto", "jeeves.v1.LlmGateway"),
    await clientOptions(),
  );
  const connection = new Redis(config.REDIS_URL, { maxRetriesPerRequest: null });
  const worker = new Worker(PLANNER_QUEUE, (job) => work(job.data, llm, producer), {
    connection,
    concurrency: CONCURRENCY,
    telemetry: await queueTelemetry(),
  });
  worker.on("error", (error) => process.stderr.write(`${NAME}: ${error.message}\n`));
  await worker.waitUntilReady();
  return {
    ready: () => worker.isRunning(),
    stop: async () => {
      await worker.close();
      connection.disconnect();
      llm.close();
      await producer.disconnect();
    },
  };
}

async function work(data: unknown, llm: ServiceClient, producer: Producer): Promise<void> {
  const request = agentRequest.parse(data);
  // A failure is sent as the reply, so the job itself is done.
  await inAgentSpan({ name: "planner", type: "llm" }, async () => {
    const result = request.stream
      ? await planInPieces(request, llm, producer)
      : await plan(request, llm);
    await sendReply(producer, request, { result });
  }).catch((error: unknown) => sendReply(producer, request, { failure: toFailure(error) }));
}

async function plan(request: AgentRequest, llm: ServiceClient): Promise<string> {
  const { text } = await llm.unary("Generate", toGenerate(request), generateReply, LLM_DEADLINE_MS);
  return text;
}

async function planInPieces(
  request: AgentRequest,
  llm: ServiceClient,
  producer: Producer,
): Promise<string> {
  let buffered = "";
  let partials = 0;
  let all = "";
  const chunks = llm.stream("GenerateStream", toGenerate(request), generateChunk, LLM_DEADLINE_MS);
  for await (const { text } of chunks) {
    all += text;
    buffered += text;
    // The last partial reply is for all remaining text.
    if (buffered.length >= PARTIAL_CHARACTERS && partials < MAX_PARTIALS - 1) {
      await sendReply(producer, request, { partial: buffered });
      partials++;
      buffered = "";
    }
  }
  if (buffered !== "") await sendReply(producer, request, { partial: buffered });
  return all;
}

function toGenerate({ requestId, agent, message }: AgentRequest): object {
  return { requestId, agent, prompt: message };
}

function toFailure(error: unknown): AgentFailure {
  if (!(error instanceof Error && "code" in error && "details" in error)) {
    return { code: "INTERNAL", message: messageOf(error) };
  }
  const unavailable = [status.UNAVAILABLE, status.RESOURCE_EXHAUSTED, status.DEADLINE_EXCEEDED];
  return {
    code: unavailable.some((known) => known === error.code) ? "UNAVAILABLE" : "INTERNAL",
    message: String(error.details),
  };
}

await runRole({ name: NAME, start, flush: flushTracing });
