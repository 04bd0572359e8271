import { randomUUID } from "node:crypto";
import {
  Server,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import { serverOptions, tracedKafka } from "../../system/adapters.js";
import { readConfig } from "../../system/config.js";
import { abortedBy, loadService, serve, shutDown } from "../../system/grpc.js";
import { createKafka } from "../../system/kafka.js";
import { runRole, type Service } from "../../system/service.js";
import { messageOf } from "../../system/spans.js";
import { flushTracing } from "../../system/tracing.js";
import { AgentsClient, StageError } from "./agents-client.js";
import { executePipeline, type PipelineRequest, pipelineRequest } from "./pipeline.js";

const NAME = "jeeves-orchestrator";

type PipelineCall = ServerUnaryCall<unknown, object> | ServerWritableStream<unknown, object>;

async function start(): Promise<Service> {
  const config = readConfig();
  const agents = new AgentsClient(await tracedKafka(createKafka(config, NAME)), randomUUID());
  await agents.connect();

  const run = async (call: PipelineCall, emit?: (event: object) => void): Promise<object> => {
    const request = readRequest(call.request);
    const options = { signal: abortedBy(call), stageTimeoutMs: config.STAGE_TIMEOUT_MS, emit };
    const reply = await executePipeline(request, agents, options);
    return { requestId: request.requestId, reply };
  };
  const server = new Server(await serverOptions());
  server.addService(loadService("orchestrator.proto", "jeeves.v1.Orchestrator"), {
    ExecutePipeline: (call: ServerUnaryCall<unknown, object>, reply: sendUnaryData<object>) => {
      run(call).then(
        (done) => reply(null, done),
        (error: unknown) => reply(toStatus(error)),
      );
    },
    StreamPipeline: (call: ServerWritableStream<unknown, object>) => {
      run(call, (event) => call.write(event)).then(
        (done) => {
          call.write({ done });
          call.end();
        },
        (error: unknown) => call.emit("error", toStatus(error)),
      );
    },
  });
  const address = await serve(server, config.HOST, config.PORT);
  return {
    address,
    stop: async () => {
      await shutDown(server);
      await agents.disconnect();
    },
  };
}

function readRequest(message: unknown): PipelineRequest {
  const parsed = pipelineRequest.safeParse(message);
  if (parsed.success) return parsed.data;
  const reasons = parsed.error.issues.map((i) => `${i.path.join(".")}: ${i.message}`);
  throw new StageError("INVALID", reasons.join("; "));
}

const STATUS: Record<StageError["code"], status> = {
  INVALID: status.INVALID_ARGUMENT,
  UNAVAILABLE: status.UNAVAILABLE,
  TIMEOUT: status.DEADLINE_EXCEEDED,
  CANCELLED: status.CANCELLED,
  INTERNAL: status.INTERNAL,
};

function toStatus(error: unknown): { code: status; details: string } {
  const code = error instanceof StageError ? STATUS[error.code] : status.INTERNAL;
  return { code, details: messageOf(error) };
}

await runRole({ name: NAME, start, flush: flushTracing });
