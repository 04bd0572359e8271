import { z } from "zod";

/** Requests to the agents, from the orchestrator to the dispatcher. */
export const AGENT_REQUESTS = "jeeves.agents.requests";
/** What the workers answer, to the orchestrator. */
export const AGENT_REPLIES = "jeeves.agents.replies";
/** Requests that the dispatcher hands on to the tools worker. */
export const TOOL_REQUESTS = "jeeves.tools.requests";
/** The BullMQ queue of the planner worker. */
export const PLANNER_QUEUE = "jeeves-planner";

export const TOPICS = [AGENT_REQUESTS, AGENT_REPLIES, TOOL_REQUESTS];
/** Consumers work on as many messages at a time as there are partitions. */
export const PARTITIONS = 8;

// The JSON form of proto/jeeves/v1/agents.proto. What comes from a socket is checked here, once.

export const agentRequest = z.object({
  requestId: z.string().min(1),
  sessionId: z.string().default(""),
  agent: z.enum(["planner", "executor"]),
  message: z.string().max(65_536),
  stream: z.boolean().default(false),
  correlationId: z.string().min(1),
  replyTopic: z.string().min(1).max(249),
});
export type AgentRequest = z.infer<typeof agentRequest>;

const agentFailure = z.object({
  code: z.enum(["INVALID", "UNAVAILABLE", "INTERNAL"]),
  message: z.string(),
});
export type AgentFailure = z.infer<typeof agentFailure>;

export const agentReply = z.object({
  requestId: z.string(),
  agent: z.string(),
  correlationId: z.string().min(1),
  /** Exactly one of these: text on the way, the final text, or a failure. */
  partial: z.string().optional(),
  result: z.string().optional(),
  failure: agentFailure.optional(),
});
export type AgentReply = z.infer<typeof agentReply>;

/** Parses JSON text or bytes against a schema; gives the reason where it does not fit. */
export function parseJson<T>(
  schema: z.ZodType<T>,
  text: string | Uint8Array | null | undefined,
): { readonly value: T } | { readonly reason: string } {
  let json: unknown;
  try {
    json = JSON.parse(typeof text === "string" ? text : Buffer.from(text ?? "").toString("utf8"));
  } catch {
    return { reason: "not JSON" };
  }
  const parsed = schema.safeParse(json);
  return parsed.success
    ? { value: parsed.data }
    : { reason: parsed.error.issues.map((i) => `${i.path.join(".")}: ${i.message}`).join("; ") };
}
