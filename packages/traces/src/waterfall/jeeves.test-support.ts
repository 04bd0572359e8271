import type { Span } from "../span.js";
import {
  bullmq,
  grpc,
  type HopTemplate,
  http,
  kafka,
  SpanFactory,
} from "../span-factory.test-support.js";

/** The spans of a chat request through five services; the hop over `lostOn` loses the trace. */
export function chatRequest(lostOn?: "grpc" | "kafka" | "bullmq"): SpanFactory {
  const spanFactory = new SpanFactory();
  const hop = (
    transport: typeof lostOn,
    parent: Span,
    service: string,
    { exit, entry }: HopTemplate,
    ms: number,
  ) => {
    const template = { exit: { ...exit, ms: ms + 2 }, entry: { ...entry, ms } };
    return transport === lostOn && transport !== undefined
      ? spanFactory.lostHop(parent, service, template)
      : spanFactory.hop(parent, service, template);
  };

  const chatRoute = http("POST", "/api/v1/chat");
  const gateway = spanFactory.root({ service: "jeeves-gateway", ...chatRoute.entry, ms: 152 });
  const execute = grpc("jeeves.v1.Orchestrator/ExecutePipeline");
  const [, orchestrator] = hop("grpc", gateway, "jeeves-orchestrator", execute, 146);
  const pipeline = spanFactory.child(orchestrator, { name: "pipeline.execute", ms: 144 });
  spanFactory.child(pipeline, { name: "agent.process", ms: 2 });
  const request = kafka("jeeves.agents.requests", { partition: 3, offset: 41 });
  const [, agents] = hop("kafka", pipeline, "jeeves-agents", request, 6);
  const job = bullmq("jeeves-planner", "17");
  const [, planner] = hop("bullmq", agents, "jeeves-planner-worker", job, 90);
  const process = spanFactory.child(planner, { name: "agent.process", ms: 88 });
  const generate = grpc("jeeves.v1.LlmGateway/Generate");
  const [, llm] = hop(undefined, process, "jeeves-llm-gateway", generate, 70);
  const call = spanFactory.child(llm, { name: "llm.provider.call", ms: 60 });
  spanFactory.child(call, { ...http("POST", "/v1/chat/completions").exit, ms: 55 });
  const reply = kafka("jeeves.agents.replies", { partition: 0, offset: 9 });
  hop(undefined, process, "jeeves-orchestrator", reply, 3);
  return spanFactory;
}
