/** One role of the reference system: what runs, and whose address it has to be told. */
export interface Role {
  /** The `service.name`; for the untraced provider just a name. */
  readonly name: string;
  /** Where its program lies, below `dist/roles`. */
  readonly entry: string;
  /** Environment variable to the role whose address it holds; that role starts first. */
  readonly needs: Readonly<Record<string, string>>;
}

export const GATEWAY = "jeeves-gateway";
export const ORCHESTRATOR = "jeeves-orchestrator";
export const AGENTS = "jeeves-agents";
export const PLANNER = "jeeves-planner-worker";
export const TOOLS = "jeeves-tools-worker";
export const LLM_GATEWAY = "jeeves-llm-gateway";
export const PROVIDER = "provider";

export const ROLES: readonly Role[] = [
  { name: PROVIDER, entry: "provider.js", needs: {} },
  { name: ORCHESTRATOR, entry: "orchestrator/main.js", needs: {} },
  { name: AGENTS, entry: "agents/main.js", needs: {} },
  { name: TOOLS, entry: "tools-worker.js", needs: {} },
  { name: LLM_GATEWAY, entry: "llm-gateway/main.js", needs: { LLM_BASE_URL: PROVIDER } },
  { name: GATEWAY, entry: "gateway/main.js", needs: { ORCHESTRATOR_ADDRESS: ORCHESTRATOR } },
  { name: PLANNER, entry: "planner-worker.js", needs: { LLM_GATEWAY_ADDRESS: LLM_GATEWAY } },
];

/** The services whose spans make up one trace. */
export const SERVICES: readonly string[] = ROLES.map((role) => role.name).filter(
  (name) => name !== PROVIDER,
);

/** The ways one request takes from service to service; together they cross every boundary. */
export const PATHS: readonly (readonly string[])[] = [
  [GATEWAY, ORCHESTRATOR, AGENTS, PLANNER, LLM_GATEWAY],
  [GATEWAY, ORCHESTRATOR, AGENTS, PLANNER, ORCHESTRATOR],
  [GATEWAY, ORCHESTRATOR, AGENTS, TOOLS, ORCHESTRATOR],
];

/** Every hop of a request, and by what it is made. */
export interface Hop {
  readonly from: string;
  readonly to: string;
  readonly via: string;
}

/** The hops that one request makes. @param streamed - whether the text comes in pieces */
export function hopsOf(streamed: boolean): readonly Hop[] {
  const pipeline = streamed ? "StreamPipeline" : "ExecutePipeline";
  const generate = streamed ? "GenerateStream" : "Generate";
  return [
    { from: GATEWAY, to: ORCHESTRATOR, via: `grpc jeeves.v1.Orchestrator/${pipeline}` },
    { from: ORCHESTRATOR, to: AGENTS, via: "kafka jeeves.agents.requests" },
    { from: AGENTS, to: PLANNER, via: "bullmq jeeves-planner" },
    { from: PLANNER, to: LLM_GATEWAY, via: `grpc jeeves.v1.LlmGateway/${generate}` },
    { from: PLANNER, to: ORCHESTRATOR, via: "kafka jeeves.agents.replies" },
    { from: AGENTS, to: TOOLS, via: "kafka jeeves.tools.requests" },
    { from: TOOLS, to: ORCHESTRATOR, via: "kafka jeeves.agents.replies" },
  ];
}
