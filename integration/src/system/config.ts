import { z } from "zod";

// A number of milliseconds, of messages and the like.
const count = z.coerce.number().int().nonnegative();

// The environment variables of the roles, besides OTEL_*. Each role uses those that it needs.
const schema = z
  .object({
    /** The port that the role listens on. 0 chooses a free one, which is in the ready line. */
    PORT: count.default(0),
    /** The address that the role listens on. Containers set 0.0.0.0. */
    HOST: z.string().default("127.0.0.1"),
    KAFKA_BROKERS: z.string().default("127.0.0.1:9092"),
    REDIS_URL: z.string().default("redis://127.0.0.1:6379"),
    ORCHESTRATOR_ADDRESS: z.string().default("127.0.0.1:50051"),
    LLM_GATEWAY_ADDRESS: z.string().default("127.0.0.1:50052"),
    LLM_BASE_URL: z.string().default("http://127.0.0.1:8081"),
    LLM_MODEL: z.string().default("jeeves-1"),
    /** Sent to the provider as a bearer token; never recorded. */
    LLM_API_KEY: z.string().optional(),
    /** The libraries that trace the role: our adapters, or the stock instrumentations. See adapters.ts. */
    INSTRUMENTATION: z.enum(["traceferry", "stock"]).default("traceferry"),
    /** The relation of a request from outside to the sender in its headers. */
    EDGE_RELATION: z.enum(["child", "link", "none"]).default("child"),
    /** The keys of the baggage that is accepted from outside. Default: all. */
    EDGE_BAGGAGE: z.string().transform(names).optional(),
    /** The time limit of the orchestrator for the reply of one stage. */
    STAGE_TIMEOUT_MS: count.default(20_000),
    /** Puts the first 200 characters of the prompt on `llm.generate`. */
    RECORD_PROMPTS: z.stringbool().default(false),
    /** Lets the header `X-Provider-Directive` ask the local provider for delays and failures. */
    PROVIDER_DIRECTIVES: z.stringbool().default(false),
    /** The duration of a call of the local provider. */
    PROVIDER_LATENCY_MS: count.default(20),
  })
  .superRefine(({ INSTRUMENTATION, EDGE_RELATION, EDGE_BAGGAGE }, { addIssue }) => {
    if (INSTRUMENTATION !== "stock") return;
    const message =
      "instrumentation-http always continues the caller's trace, with all its baggage";
    if (EDGE_RELATION !== "child") addIssue({ code: "custom", path: ["EDGE_RELATION"], message });
    if (EDGE_BAGGAGE !== undefined) addIssue({ code: "custom", path: ["EDGE_BAGGAGE"], message });
  });

/** The configuration of a role. */
export type Config = z.infer<typeof schema>;

/** Splits `a, b` into a list. An empty text gives an empty list. */
function names(text: string): string[] {
  return text
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}

/** Reads the configuration from the environment. @throws an error that names each wrong variable */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const parsed = schema.safeParse(env);
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
  throw new Error(`wrong configuration: ${wrong.join("; ")}`);
}
