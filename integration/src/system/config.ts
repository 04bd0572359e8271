import { z } from "zod";

/** A count of milliseconds, of messages and the like, from the environment. */
const count = z.coerce.number().int().nonnegative();

/** What the roles read from the environment besides the OTEL_* variables. Each role uses what it needs. */
const schema = z
  .object({
    /** Where the role listens; 0 chooses a free port, which the ready line tells. */
    PORT: count.default(0),
    /** Loopback, unless somebody says otherwise: a container does. */
    HOST: z.string().default("127.0.0.1"),
    KAFKA_BROKERS: z.string().default("127.0.0.1:9092"),
    REDIS_URL: z.string().default("redis://127.0.0.1:6379"),
    ORCHESTRATOR_ADDRESS: z.string().default("127.0.0.1:50051"),
    LLM_GATEWAY_ADDRESS: z.string().default("127.0.0.1:50052"),
    LLM_BASE_URL: z.string().default("http://127.0.0.1:8081"),
    LLM_MODEL: z.string().default("jeeves-1"),
    /** Sent to the provider as a bearer token; never recorded. */
    LLM_API_KEY: z.string().optional(),
    /** Who traces the role: our adapters, or the instrumentations that others use. See adapters.ts. */
    INSTRUMENTATION: z.enum(["traceferry", "stock"]).default("traceferry"),
    /** What a request from outside is to the trace its headers name. */
    EDGE_RELATION: z.enum(["child", "link", "none"]).default("child"),
    /** The baggage that is let in from outside, by its keys; unset it is all. */
    EDGE_BAGGAGE: z.string().transform(names).optional(),
    /** How long the orchestrator waits for the reply of one stage. */
    STAGE_TIMEOUT_MS: count.default(20_000),
    /** Whether `llm.generate` carries the first 200 characters of the prompt. */
    RECORD_PROMPTS: z.stringbool().default(false),
    /** Whether the header `X-Provider-Directive` may ask the local provider for delays and failures. */
    PROVIDER_DIRECTIVES: z.stringbool().default(false),
    /** What one call of the local provider takes. */
    PROVIDER_LATENCY_MS: count.default(20),
  })
  .superRefine(({ INSTRUMENTATION, EDGE_RELATION, EDGE_BAGGAGE }, { addIssue }) => {
    if (INSTRUMENTATION !== "stock") return;
    const message =
      "instrumentation-http always continues the caller's trace, with all its baggage";
    if (EDGE_RELATION !== "child") addIssue({ code: "custom", path: ["EDGE_RELATION"], message });
    if (EDGE_BAGGAGE !== undefined) addIssue({ code: "custom", path: ["EDGE_BAGGAGE"], message });
  });

export type Config = z.infer<typeof schema>;

/** `a, b` as a list; an empty text names nothing. */
function names(text: string): string[] {
  return text
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}

/** Reads the environment, or ends the process with a line that names each wrong variable. */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const parsed = schema.safeParse(env);
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
  throw new Error(`wrong configuration: ${wrong.join("; ")}`);
}
