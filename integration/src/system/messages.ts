import { z } from "zod";

/** Requests to the agents, from the orchestrator to the dispatcher. */
export const AGENT_REQUESTS = "jeeves.agents.requests";
/** Replies of the workers to the orchestrator. */
export const AGENT_REPLIES = "jeeves.agents.replies";
/** Requests from the dispatcher to the tools worker. */
export const TOOL_REQUESTS = "jeeves.tools.requests";
/** The BullMQ queue of the planner worker. */
export const PLANNER_QUEUE = "jeeves-planner";

/** All topics. */
export const TOPICS = [AGENT_REQUESTS, AGENT_REPLIES, TOOL_REQUESTS];
/** The partitions of each topic. Consumers process as many messages at a time. */
export const PARTITIONS = 8;

// The JSON form of proto/jeeves/v1/agents.proto. Incoming messages are validated by these schemas.

/** A request to an agent. */
export const agentRequest = z.object({
  requestId: z.string().min(1),
  sessionId: z.string().default(""),
  agent: z.enum(["planner", "executor"]),
  message: z.string().max(65_536),
  stream: z.boolean().default(false),
  correlationId: z.string().min(1),
  replyTopic: z.string().min(1).max(249),
});
/** A request to an agent. */
export type AgentRequest = z.infer<typeof agentRequest>;

const agentFailure = z.object({
  code: z.enum(["INVALID", "UNAVAILABLE", "INTERNAL"]),
  message: z.string(),
});
/** The failure of an agent. */
export type AgentFailure = z.infer<typeof agentFailure>;

/** A reply of an agent. */
export const agentReply = z.object({
  requestId: z.string(),
  agent: z.string(),
  correlationId: z.string().min(1),
  /** Exactly one of these is set: a piece of the text, the final text, or a failure. */
  partial: z.string().optional(),
  result: z.string().optional(),
  failure: agentFailure.optional(),
});
/** A reply of an agent. */
export type AgentReply = z.infer<typeof agentReply>;

/** Parses JSON text or bytes and validates them. Returns the value, or the reason why they are invalid. */
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
