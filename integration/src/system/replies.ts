import type { Producer } from "kafkajs";
import type { AgentFailure, AgentReply, AgentRequest } from "./messages.js";

type Outcome = Pick<AgentReply, "partial" | "result"> | { readonly failure: AgentFailure };

/** Sends a reply, partial, final or failed, to the topic that the request names. */
export async function sendReply(
  producer: Pick<Producer, "send">,
  request: Pick<AgentRequest, "requestId" | "agent" | "correlationId" | "replyTopic">,
  outcome: Outcome,
): Promise<void> {
  const { requestId, agent, correlationId, replyTopic } = request;
  const reply: AgentReply = { requestId, agent, correlationId, ...outcome };
  await producer.send({
    topic: replyTopic,
    messages: [
      {
        key: correlationId,
        value: JSON.stringify(reply),
        headers: { "correlation-id": correlationId },
      },
    ],
  });
}
