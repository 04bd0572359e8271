import { context } from "@opentelemetry/api";
import { EventSourceParserStream } from "eventsource-parser/stream";
import { z } from "zod";
import type { Config } from "../../system/config.js";
import { parseJson } from "../../system/messages.js";
import { directiveInBaggage, outsideContext } from "../../system/spans.js";

const usage = z.object({
  prompt_tokens: z.number().default(0),
  completion_tokens: z.number().default(0),
  total_tokens: z.number().default(0),
});
const completion = z.object({
  model: z.string(),
  choices: z.array(z.object({ message: z.object({ content: z.string() }) })).min(1),
  usage: usage.optional(),
});
const chunk = z.object({
  model: z.string(),
  // The last chunk of OpenAI has the usage and no choice.
  choices: z.array(z.object({ delta: z.object({ content: z.string().nullish() }) })),
  usage: usage.nullish(),
});

/** The answer of the provider. */
export interface Completion {
  readonly text: string;
  readonly model: string;
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/** The provider failed, or its answer is invalid. `status` is its HTTP status, 0 when there is none. */
export class ProviderError extends Error {
  override readonly name = "ProviderError";
  readonly status: number;

  constructor(message: string, status: number, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

/** A client of OpenAI's chat completions at LLM_BASE_URL. */
export class ProviderClient {
  readonly #config: Config;

  constructor(config: Config) {
    this.#config = config;
  }

  /** Asks for the answer in one piece. @throws ProviderError */
  async complete(prompt: string, signal: AbortSignal): Promise<Completion> {
    const response = await this.#post(prompt, false, signal);
    const parsed = parseJson(completion, await response.text());
    if ("reason" in parsed)
      throw new ProviderError(`bad answer: ${parsed.reason}`, response.status);
    const { model, choices, usage: used } = parsed.value;
    return toCompletion(choices[0]?.message.content ?? "", model, used);
  }

  /** Asks for the answer as a stream. @param onText - is called with each piece @throws ProviderError */
  async stream(
    prompt: string,
    signal: AbortSignal,
    onText: (text: string) => void,
  ): Promise<Completion> {
    const response = await this.#post(prompt, true, signal);
    let text = "";
    let model = this.#config.LLM_MODEL;
    let used: z.infer<typeof usage> | undefined;
    let done = false;
    const events = response.body
      ?.pipeThrough(new TextDecoderStream())
      .pipeThrough(new EventSourceParserStream({ maxBufferSize: 1024 * 1024 }));
    try {
      for await (const { data } of events ?? []) {
        if (data === "[DONE]") {
          done = true;
          break;
        }
        const parsed = parseJson(chunk, data);
        if ("reason" in parsed) throw new ProviderError(`bad event: ${parsed.reason}`, 0);
        const piece = parsed.value.choices[0]?.delta.content ?? "";
        model = parsed.value.model;
        used = parsed.value.usage ?? used;
        if (piece === "") continue;
        text += piece;
        onText(piece);
      }
    } catch (cause) {
      if (cause instanceof ProviderError) throw cause;
      throw new ProviderError("the stream broke off", 0, { cause });
    }
    if (!done) throw new ProviderError("the stream ended too early", 0);
    return toCompletion(text, model, used);
  }

  async #post(prompt: string, stream: boolean, signal: AbortSignal): Promise<Response> {
    const { LLM_BASE_URL, LLM_MODEL, LLM_API_KEY, PROVIDER_DIRECTIVES } = this.#config;
    const directives = PROVIDER_DIRECTIVES ? directiveHeaders(directiveInBaggage()) : {};
    const send = (): Promise<Response> =>
      fetch(new URL("/v1/chat/completions", LLM_BASE_URL), {
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...(LLM_API_KEY !== undefined && { authorization: `Bearer ${LLM_API_KEY}` }),
          ...directives,
        },
        body: JSON.stringify({
          model: LLM_MODEL,
          stream,
          ...(stream && { stream_options: { include_usage: true } }),
          messages: [{ role: "user", content: prompt }],
        }),
        signal,
      });
    let response: Response;
    try {
      // The provider is outside of the system, which baggage and tracestate must not leave.
      response = await context.with(outsideContext(), send);
    } catch (cause) {
      throw new ProviderError("the provider cannot be reached", 0, { cause });
    }
    if (response.ok) return response;
    await response.body?.cancel();
    throw new ProviderError(`the provider answered ${response.status}`, response.status);
  }
}

function toCompletion(
  text: string,
  model: string,
  used: z.infer<typeof usage> | undefined,
): Completion {
  return {
    text,
    model,
    promptTokens: used?.prompt_tokens ?? 0,
    completionTokens: used?.completion_tokens ?? 0,
  };
}

/** Parses `status=503,latency=200` into the request headers of the local provider. */
function directiveHeaders(directive: string | undefined): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [, name, value] of directive?.matchAll(/(status|latency|cut)=(\d{1,5})/g) ?? []) {
    if (name !== undefined && value !== undefined) headers[`x-provider-${name}`] = value;
  }
  return headers;
}
