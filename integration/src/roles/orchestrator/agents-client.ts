import { randomUUID } from "node:crypto";
import { context } from "@opentelemetry/api";
import type { Consumer, Kafka, Producer } from "kafkajs";
import { firstFetch, MAX_WAIT_MS } from "../../system/kafka.js";
import {
  AGENT_REPLIES,
  AGENT_REQUESTS,
  type AgentFailure,
  type AgentReply,
  type AgentRequest,
  agentReply,
  PARTITIONS,
  parseJson,
} from "../../system/messages.js";

/** A stage failed: the agent reported a failure, or no reply came in time. */
export class StageError extends Error {
  override readonly name = "StageError";
  readonly code: AgentFailure["code"] | "TIMEOUT" | "CANCELLED";

  constructor(code: StageError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

/** Options of `AgentsClient.ask`. */
export interface StageOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Is called with each piece of the answer. Without it the answer comes in one piece. */
  readonly onPartial?: ((text: string) => void) | undefined;
}

interface Pending {
  readonly resolve: (result: string) => void;
  readonly reject: (error: StageError) => void;
  readonly onPartial: ((text: string) => void) | undefined;
}

/**
 * Sends requests to the agents over Kafka and matches the replies by correlation id. Each instance reads all replies in a
 * consumer group of its own, and ignores those to other instances.
 */
export class AgentsClient {
  readonly #producer: Producer;
  readonly #consumer: Consumer;
  readonly #pending = new Map<string, Pending>();

  constructor(kafka: Kafka, instance: string) {
    this.#producer = kafka.producer();
    this.#consumer = kafka.consumer({
      groupId: `jeeves-orchestrator-${instance}`,
      maxWaitTimeInMs: MAX_WAIT_MS,
    });
  }

  /** Connects to Kafka. Resolves when no reply can be missed any more. */
  async connect(): Promise<void> {
    await Promise.all([this.#producer.connect(), this.#consumer.connect()]);
    // Older replies answer no pending request.
    await this.#consumer.subscribe({ topic: AGENT_REPLIES, fromBeginning: false });
    const fetching = firstFetch(this.#consumer);
    await this.#consumer.run({
      partitionsConsumedConcurrently: PARTITIONS,
      eachMessage: async ({ message }) => {
        const parsed = parseJson(agentReply, message.value);
        if ("value" in parsed) this.#settle(parsed.value);
      },
    });
    await fetching;
  }

  /** Cancels all pending requests and disconnects. */
  async disconnect(): Promise<void> {
    for (const { reject } of this.#pending.values()) {
      reject(new StageError("CANCELLED", "the orchestrator is stopping"));
    }
    await this.#consumer.disconnect();
    await this.#producer.disconnect();
  }

  /** Sends one request and waits for its final reply. @throws StageError */
  async ask(
    request: Pick<AgentRequest, "requestId" | "sessionId" | "agent" | "message">,
    { signal, timeoutMs, onPartial }: StageOptions,
  ): Promise<string> {
    const correlationId = randomUUID();
    const { agent } = request;
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    // Partial replies arrive in the context of the consumer; the callback runs in that of the caller.
    const partial = onPartial && context.bind(context.active(), onPartial);
    this.#pending.set(correlationId, { resolve, reject, onPartial: partial });
    const timer = setTimeout(() => {
      reject(new StageError("TIMEOUT", `no reply from the ${agent} within ${timeoutMs} ms`));
    }, timeoutMs);
    const cancel = (): void => reject(new StageError("CANCELLED", "the caller went away"));
    signal.addEventListener("abort", cancel, { once: true });
    if (signal.aborted) cancel();
    try {
      await Promise.all([
        promise,
        this.#send({
          ...request,
          correlationId,
          replyTopic: AGENT_REPLIES,
          stream: partial !== undefined,
        }),
      ]);
      return await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", cancel);
      this.#pending.delete(correlationId);
    }
  }

  async #send(request: AgentRequest): Promise<void> {
    const { correlationId, replyTopic } = request;
    await this.#producer.send({
      topic: AGENT_REQUESTS,
      messages: [
        {
          key: correlationId,
          value: JSON.stringify(request),
          headers: { "correlation-id": correlationId, "reply-topic": replyTopic },
        },
      ],
    });
  }

  #settle({ correlationId, partial, result, failure }: AgentReply): void {
    const pending = this.#pending.get(correlationId);
    if (pending === undefined) return;
    if (failure !== undefined) pending.reject(new StageError(failure.code, failure.message));
    else if (result !== undefined) pending.resolve(result);
    else if (partial !== undefined) pending.onPartial?.(partial);
  }
}
