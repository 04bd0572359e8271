import type { Span } from "../span.js";
import { bullmq, Fleet, grpc, http, kafka, type Via } from "../span-factory.test-support.js";

/** A request through five services, as a multi-agent backend makes it; `cut` loses the trace on one hop. */
export function chat(cut?: "grpc" | "kafka" | "bullmq"): Fleet {
  const fleet = new Fleet();
  const hop = (name: typeof cut, parent: Span, service: string, via: Via, ms: number) =>
    name === cut && name !== undefined
      ? fleet.lostHop(parent, service, {
          exit: { ...via.exit, ms: ms + 2 },
          entry: { ...via.entry, ms },
        })
      : fleet.hop(parent, service, {
          exit: { ...via.exit, ms: ms + 2 },
          entry: { ...via.entry, ms },
        });

  const chatRoute = http("POST", "/api/v1/chat");
  const gateway = fleet.root({ service: "jeeves-gateway", ...chatRoute.entry, ms: 152 });
  const execute = grpc("jeeves.v1.Orchestrator/ExecutePipeline");
  const [, orchestrator] = hop("grpc", gateway, "jeeves-orchestrator", execute, 146);
  const pipeline = fleet.child(orchestrator, { name: "pipeline.execute", ms: 144 });
  fleet.child(pipeline, { name: "agent.process", ms: 2 });
  const asked = kafka("jeeves.agents.requests", { partition: 3, offset: 41 });
  const [, agents] = hop("kafka", pipeline, "jeeves-agents", asked, 6);
  const [, planner] = hop(
    "bullmq",
    agents,
    "jeeves-planner-worker",
    bullmq("jeeves-planner", "17"),
    90,
  );
  const process = fleet.child(planner, { name: "agent.process", ms: 88 });
  const [, llm] = hop(
    undefined,
    process,
    "jeeves-llm-gateway",
    grpc("jeeves.v1.LlmGateway/Generate"),
    70,
  );
  const call = fleet.child(llm, { name: "llm.provider.call", ms: 60 });
  fleet.child(call, { ...http("POST", "/v1/chat/completions").exit, ms: 55 });
  hop(
    undefined,
    process,
    "jeeves-orchestrator",
    kafka("jeeves.agents.replies", { partition: 0, offset: 9 }),
    3,
  );
  return fleet;
}
