import type { Language } from "../peers/peer.js";

/** The NestJS gateway at the edge. */
export const GATEWAY = "jeeves-gateway";
/** The gRPC server that runs the pipeline. */
export const ORCHESTRATOR = "jeeves-orchestrator";
/** The NestJS microservice that dispatches requests to the workers. */
export const AGENTS = "jeeves-agents";
/** The BullMQ worker that asks the LLM gateway. */
export const PLANNER = "jeeves-planner-worker";
/** The Kafka worker that runs tools. */
export const TOOLS = "jeeves-tools-worker";
/** The gRPC server that calls the provider. */
export const LLM_GATEWAY = "jeeves-llm-gateway";
/** The local language model provider, which is not traced. */
export const PROVIDER = "provider";

/**
 * The implementation of a role: `ts` is TypeScript with our adapters, `stock` the same program with the instrumentations of
 * OpenTelemetry and BullMQ, `bare` the same with propagation only, without spans; the others are other languages.
 */
export type Implementation = "ts" | "stock" | "bare" | Language;

/** One role of the reference system. */
export interface Role {
  /** Its `service.name`. */
  readonly name: string;
  /** The option of the demo that chooses its implementation. Undefined when there is one only. */
  readonly option?: string;
  /** Its TypeScript program, relative to `dist/roles`. */
  readonly entry: string;
  /** Its program in another language, by the name that the peer's `command` takes. */
  readonly foreign?: { readonly language: Language; readonly program: string };
  /** Environment variables that get the address of another role, which starts first. */
  readonly needs: Readonly<Record<string, string>>;
  /** The port that it listens on in a container. Undefined for a role that does not serve. */
  readonly port?: number;
}

/** All roles. A role comes after those whose addresses it needs. */
export const ROLES: readonly Role[] = [
  { name: PROVIDER, entry: "provider.js", needs: {}, port: 8081 },
  {
    name: ORCHESTRATOR,
    option: "orchestrator",
    entry: "orchestrator/main.js",
    foreign: { language: "go", program: "orchestrator" },
    needs: {},
    port: 50051,
  },
  { name: AGENTS, option: "agents", entry: "agents/main.js", needs: {} },
  {
    name: TOOLS,
    option: "tools",
    entry: "tools-worker.js",
    foreign: { language: "java", program: "jeeves.ToolsWorker" },
    needs: {},
  },
  {
    name: LLM_GATEWAY,
    option: "llm-gateway",
    entry: "llm-gateway/main.js",
    foreign: { language: "python", program: "jeeves.llm_gateway" },
    needs: { LLM_BASE_URL: PROVIDER },
    port: 50052,
  },
  {
    name: GATEWAY,
    option: "gateway",
    entry: "gateway/main.js",
    foreign: { language: "python", program: "jeeves.gateway" },
    needs: { ORCHESTRATOR_ADDRESS: ORCHESTRATOR },
    port: 8080,
  },
  {
    name: PLANNER,
    option: "planner",
    entry: "planner-worker.js",
    foreign: { language: "python", program: "jeeves.planner_worker" },
    needs: { LLM_GATEWAY_ADDRESS: LLM_GATEWAY },
  },
];

/** The implementation of each role by its name. The default is `ts`. */
export type Implementations = Readonly<Record<string, Implementation>>;

/** The implementations that the role can have. */
export function implementationsOf({ option, foreign }: Role): readonly Implementation[] {
  if (option === undefined) return ["ts"];
  return ["ts", ...(foreign ? [foreign.language] : []), "stock", "bare"];
}

/** Every role that has an implementation in another language, in that language. */
export const POLYGLOT: Implementations = Object.fromEntries(
  ROLES.flatMap(({ name, foreign }) => (foreign ? [[name, foreign.language]] : [])),
);
