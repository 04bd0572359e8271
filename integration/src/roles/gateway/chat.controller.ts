import { randomUUID } from "node:crypto";
import type { ServerResponse } from "node:http";
import {
  Body,
  Controller,
  Headers,
  HttpCode,
  HttpException,
  Inject,
  Post,
  Res,
} from "@nestjs/common";
import { context } from "@opentelemetry/api";
import { z } from "zod";
import type { Config } from "../../system/config.js";
import type { ServiceClient } from "../../system/grpc.js";
import { withRequest } from "../../system/spans.js";
import { toHttpError } from "./errors.js";

/** The injection token of the client of the orchestrator. */
export const ORCHESTRATOR = Symbol("orchestrator");
/** The injection token of the configuration. */
export const CONFIG = Symbol("config");

const MAX_MESSAGE_CHARACTERS = 16_384;
const DEADLINE_MS = 45_000;

const chatRequest = z.object({
  message: z.string().trim().min(1).max(MAX_MESSAGE_CHARACTERS),
  session_id: z.string().min(1).max(128),
  user_id: z.string().max(128).optional(),
  mode: z.enum(["sequential", "parallel"]).default("sequential"),
});
const pipelineReply = z.object({ requestId: z.string(), reply: z.string() });
const pipelineEvent = z.object({
  stage: z.object({ agent: z.string(), state: z.string() }).nullish(),
  text: z.string().nullish(),
  done: pipelineReply.nullish(),
});

/** A valid request: the message for the orchestrator, and the context with its ids in baggage. */
interface Accepted {
  readonly requestId: string;
  readonly request: object;
  readonly context: ReturnType<typeof withRequest>;
}

/** Answers chat requests, in one piece or as server-sent events. */
@Controller("api/v1/chat")
export class ChatController {
  readonly #orchestrator: ServiceClient;
  readonly #config: Config;

  constructor(@Inject(ORCHESTRATOR) orchestrator: ServiceClient, @Inject(CONFIG) config: Config) {
    this.#orchestrator = orchestrator;
    this.#config = config;
  }

  @Post()
  @HttpCode(200)
  async chat(
    @Body() body: unknown,
    @Headers("x-provider-directive") directive: string | undefined,
  ): Promise<object> {
    const accepted = this.#accept(body, directive);
    try {
      const { reply } = await context.with(accepted.context, () =>
        this.#orchestrator.unary("ExecutePipeline", accepted.request, pipelineReply, DEADLINE_MS),
      );
      return { reply, request_id: accepted.requestId };
    } catch (error) {
      throw toHttpError(error, accepted.requestId);
    }
  }

  @Post("stream")
  async stream(
    @Body() body: unknown,
    @Headers("x-provider-directive") directive: string | undefined,
    @Res() response: ServerResponse,
  ): Promise<void> {
    const accepted = this.#accept(body, directive);
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
    try {
      await context.with(accepted.context, async () => {
        const events = this.#orchestrator.stream(
          "StreamPipeline",
          accepted.request,
          pipelineEvent,
          DEADLINE_MS,
          gone.signal,
        );
        for await (const { stage, text, done } of events) {
          if (stage) send(response, "stage", stage);
          else if (done) send(response, "done", { reply: done.reply, request_id: done.requestId });
          else if (text) send(response, "text", { text });
        }
      });
    } catch (error) {
      if (!gone.signal.aborted) {
        send(response, "error", toHttpError(error, accepted.requestId).getResponse());
      }
    }
    response.end();
  }

  #accept(body: unknown, directive: string | undefined): Accepted {
    const parsed = chatRequest.safeParse(body);
    if (!parsed.success) {
      const wrong = parsed.error.issues.map((i) => `${i.path.join(".") || "body"}: ${i.message}`);
      throw new HttpException({ error: { code: "INVALID", message: wrong.join("; ") } }, 400);
    }
    const requestId = randomUUID();
    const { message, session_id, user_id, mode } = parsed.data;
    return {
      requestId,
      request: { requestId, sessionId: session_id, userId: user_id ?? "", message, mode },
      context: withRequest(context.active(), {
        requestId,
        sessionId: session_id,
        directive: this.#config.PROVIDER_DIRECTIVES ? directive : undefined,
      }),
    };
  }
}

function send(response: ServerResponse, event: string, data: unknown): void {
  if (!response.writableEnded) {
    response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }
}
