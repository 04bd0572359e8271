import type { Language } from "../peers/peer.js";

export const GATEWAY = "jeeves-gateway";
export const ORCHESTRATOR = "jeeves-orchestrator";
export const AGENTS = "jeeves-agents";
export const PLANNER = "jeeves-planner-worker";
export const TOOLS = "jeeves-tools-worker";
export const LLM_GATEWAY = "jeeves-llm-gateway";
export const PROVIDER = "provider";

/**
 * What a role is made of: `ts` is ours with our adapters, `stock` the same with the incumbents' instrumentation,
 * `bare` the same with propagation only (it makes no spans); the others are other languages.
 */
export type Implementation = "ts" | "stock" | "bare" | Language;

/** One role of the reference system: what runs, and whose address it has to be told. */
export interface Role {
  /** The `service.name`; for the untraced provider just a name. */
  readonly name: string;
  /** The demo's option that chooses what it is made of; none where there is nothing to choose. */
  readonly option?: string;
  /** Where its TypeScript program lies, below `dist/roles`. */
  readonly entry: string;
  /** Its program in another language, as that language's peer calls it. */
  readonly foreign?: { readonly language: Language; readonly program: string };
  /** Environment variable to the role whose address it holds; that role starts first. */
  readonly needs: Readonly<Record<string, string>>;
  /** Where it listens in a container; a role that does not serve has none. */
  readonly port?: number;
}

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

/** What each role is made of, by its name. One that is not named is `ts`. */
export type Implementations = Readonly<Record<string, Implementation>>;

/** What the role can be made of. */
export function implementationsOf({ option, foreign }: Role): readonly Implementation[] {
  if (option === undefined) return ["ts"];
  return ["ts", ...(foreign ? [foreign.language] : []), "stock", "bare"];
}

/** Every role that has a foreign version is made of it. */
export const POLYGLOT: Implementations = Object.fromEntries(
  ROLES.flatMap(({ name, foreign }) => (foreign ? [[name, foreign.language]] : [])),
);
