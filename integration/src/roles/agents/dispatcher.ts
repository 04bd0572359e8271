import { InjectQueue } from "@nestjs/bullmq";
import { Controller, Inject } from "@nestjs/common";
import { EventPattern, Payload } from "@nestjs/microservices";
import type { Queue } from "bullmq";
import type { Producer } from "kafkajs";
import {
  AGENT_REQUESTS,
  type AgentRequest,
  agentRequest,
  PLANNER_QUEUE,
  TOOL_REQUESTS,
} from "../../system/messages.js";

/** The injection token of the Kafka producer. */
export const PRODUCER = Symbol("producer");

/** Passes each request on to the worker of its agent. The worker sends the reply. */
@Controller()
export class Dispatcher {
  readonly #queue: Queue;
  readonly #producer: Producer;

  constructor(@InjectQueue(PLANNER_QUEUE) queue: Queue, @Inject(PRODUCER) producer: Producer) {
    this.#queue = queue;
    this.#producer = producer;
  }

  /** Dispatches one request. */
  @EventPattern(AGENT_REQUESTS)
  async dispatch(@Payload() payload: unknown): Promise<void> {
    const parsed = agentRequest.safeParse(payload);
    if (!parsed.success) {
      // An invalid request has no reply topic, and would be just as invalid in a retry.
      process.stderr.write(`jeeves-agents: dropped a request: ${parsed.error.message}\n`);
      return;
    }
    const request = parsed.data;
    if (request.agent === "planner") await this.#queue.add("plan", request);
    else await this.#forward(request);
  }

  async #forward(request: AgentRequest): Promise<void> {
    await this.#producer.send({
      topic: TOOL_REQUESTS,
      messages: [
        {
          key: request.correlationId,
          value: JSON.stringify(request),
          headers: { "correlation-id": request.correlationId, "reply-topic": request.replyTopic },
        },
      ],
    });
  }
}
