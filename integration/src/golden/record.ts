import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { Queue } from "bullmq";
import { Redis } from "ioredis";
import { Kafka, logLevel } from "kafkajs";
import type { EngineAddresses } from "../engines/index.js";
import { chat } from "../system/chat.js";
import { loadService } from "../system/grpc.js";
import { AGENT_REPLIES, AGENT_REQUESTS, PLANNER_QUEUE, TOOL_REQUESTS } from "../system/messages.js";
import { startTopology } from "../topology/index.js";
import { GATEWAY, LLM_GATEWAY, ORCHESTRATOR, PLANNER, POLYGLOT } from "../topology/roles.js";
import {
  type RawHeaders,
  type Recorder,
  startGrpcRecorder,
  startHttpRecorder,
  startKafkaRecorder,
} from "./recorders.js";

/** The headers that one peer wrote on one transport. */
export interface Recording {
  readonly peer: "go" | "python" | "java";
  readonly library: string;
  readonly transport: "grpc" | "kafka" | "http";
  /** True when it continued SENDER, false when it began a trace of its own. */
  readonly continues: boolean;
  /** Its propagation fields, each key as it was written. */
  readonly headers: Readonly<Record<string, string>>;
}

/** The propagation fields that every peer is sent. The baggage has blanks, `,`, `%`, `;`, `=` and a letter beyond ASCII. */
export const SENDER = {
  traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  tracestate: "vendor=t61rcWkgMzE",
  baggage: "tenant=acme,note=%C3%A9%2C%20100%25%3B%3D%C3%BC",
} as const;

const REQUEST_ID = "golden-request";
const FIELDS = ["traceparent", "tracestate", "baggage"];

/** Runs every foreign role between recorders, sends each a request with and without a sender, and records its headers. */
export async function recordPeers(
  engines: EngineAddresses,
  log: (line: string) => void,
  signal?: AbortSignal,
): Promise<Recording[]> {
  await using pipeline = await startGrpcRecorder(
    { file: "orchestrator.proto", service: "jeeves.v1.Orchestrator", method: "ExecutePipeline" },
    { answer: { requestId: REQUEST_ID, reply: "Very good." } },
  );
  await using llm = await startGrpcRecorder(
    { file: "llm.proto", service: "jeeves.v1.LlmGateway", method: "Generate" },
    {
      answer: {
        text: "Very good.",
        model: "recorder",
      },
    },
  );
  await using provider = await startHttpRecorder({
    model: "recorder",
    choices: [{ message: { content: "Very good." } }],
  });
  await using topology = await startTopology({
    engines,
    otlpUrl: "http://127.0.0.1:9",
    log,
    signal,
    implementations: POLYGLOT,
    providerUrl: `http://${provider.address}`,
    env: { OTEL_TRACES_EXPORTER: "none" },
    roleEnv: {
      [GATEWAY]: { ORCHESTRATOR_ADDRESS: pipeline.address },
      [PLANNER]: { LLM_GATEWAY_ADDRESS: llm.address },
    },
  });
  await using requests = await startKafkaRecorder(engines.kafkaBrokers, AGENT_REQUESTS);
  await using replies = await startKafkaRecorder(engines.kafkaBrokers, AGENT_REPLIES);
  await using sender = await startSender(engines);

  const recordings: Recording[] = [];
  for (const continues of [true, false]) {
    const headers = continues ? SENDER : {};
    const record = async (
      of: Pick<Recording, "peer" | "library" | "transport">,
      recorder: Recorder,
      send: () => Promise<unknown>,
    ): Promise<void> => {
      // Messages of an earlier request may still be under way: they are not taken.
      const received = recorder.next(
        (all) => continuesSender(all) === continues && belongsToRequest(all),
      );
      await send();
      const written = await received;
      recordings.push({ ...of, continues, headers: fieldsOf(written) });
    };
    const python = { peer: "python" } as const;
    await record(
      { ...python, library: "opentelemetry-instrumentation-grpc, aio client", transport: "grpc" },
      pipeline,
      () => chat(topology.gatewayUrl, { headers }),
    );
    await record({ peer: "go", library: "kotel", transport: "kafka" }, requests, () =>
      sender.call(
        topology.addressOf(ORCHESTRATOR),
        "orchestrator.proto",
        "jeeves.v1.Orchestrator",
        "ExecutePipeline",
        headers,
      ),
    );
    await record(
      { ...python, library: "opentelemetry-instrumentation-aiokafka", transport: "kafka" },
      replies,
      () => sender.add(headers),
    );
    await record(
      { peer: "java", library: "OpenTelemetry Java agent, kafka-clients", transport: "kafka" },
      replies,
      () => sender.produce(TOOL_REQUESTS, headers),
    );
    await record(
      { ...python, library: "opentelemetry-instrumentation-aiohttp-client", transport: "http" },
      provider,
      () =>
        sender.call(
          topology.addressOf(LLM_GATEWAY),
          "llm.proto",
          "jeeves.v1.LlmGateway",
          "Generate",
          headers,
        ),
    );
  }
  return recordings;
}

function fieldsOf(headers: RawHeaders): Record<string, string> {
  return Object.fromEntries(headers.filter(([key]) => FIELDS.includes(key.toLowerCase())));
}

function continuesSender(headers: RawHeaders): boolean {
  const traceId = SENDER.traceparent.split("-")[1] ?? "";
  return headers.some(([key, value]) => key === "traceparent" && value.includes(traceId));
}

/** False for a reply to another request. Messages that are no reply always match. */
function belongsToRequest(headers: RawHeaders): boolean {
  const [, correlationId] = headers.find(([key]) => key === "correlation-id") ?? [];
  const [, replyTopic] = headers.find(([key]) => key === "reply-topic") ?? [];
  return correlationId === undefined || replyTopic !== undefined || correlationId === REQUEST_ID;
}

type Headers = Readonly<Record<string, string>>;

/** Starts the untraced clients that send the requests. */
async function startSender(engines: EngineAddresses) {
  const kafka = new Kafka({ brokers: engines.kafkaBrokers, logLevel: logLevel.NOTHING });
  const producer = kafka.producer();
  await producer.connect();
  const connection = new Redis(engines.redisUrl, { maxRetriesPerRequest: null });
  const queue = new Queue(PLANNER_QUEUE, { connection });
  const request = (agent: string) => ({
    requestId: REQUEST_ID,
    sessionId: REQUEST_ID,
    agent,
    message: "Hello",
    correlationId: REQUEST_ID,
    replyTopic: AGENT_REPLIES,
  });
  return {
    call: (address: string, file: string, service: string, name: string, headers: Headers) =>
      call(address, file, service, name, headers),
    add: (headers: Headers) =>
      queue.add("plan", request("planner"), {
        telemetry: { metadata: JSON.stringify(headers) },
        removeOnComplete: true,
      }),
    produce: (topic: string, headers: Headers) =>
      producer.send({
        topic,
        messages: [
          { key: REQUEST_ID, value: JSON.stringify(request("executor")), headers: { ...headers } },
        ],
      }),
    [Symbol.asyncDispose]: async () => {
      await producer.disconnect();
      await queue.close();
      connection.disconnect();
    },
  };
}

function call(
  address: string,
  file: string,
  service: string,
  name: string,
  headers: Headers,
): Promise<unknown> {
  const method = loadService(file, service)[name];
  if (method === undefined) throw new Error(`no method ${name}`);
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(headers)) metadata.set(key, value);
  const client = new Client(address, credentials.createInsecure());
  const body = { requestId: REQUEST_ID, sessionId: REQUEST_ID, message: "Hello", prompt: "Hello" };
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      body,
      metadata,
      (error, answer) => {
        client.close();
        if (error === null) resolve(answer);
        else reject(error);
      },
    );
  });
}
