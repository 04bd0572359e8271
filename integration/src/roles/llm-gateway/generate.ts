import { status } from "@grpc/grpc-js";
import { z } from "zod";
import type { Config } from "../../system/config.js";
import { inSpan, messageOf, requestIdInBaggage } from "../../system/spans.js";
import { type Completion, ProviderError } from "./provider-client.js";

/** The request of Generate and GenerateStream. */
export const generateRequest = z.object({
  agent: z.string().default(""),
  prompt: z.string().default(""),
});

/** The reply of Generate, and the last message of GenerateStream. */
export interface GenerateReply {
  readonly text: string;
  readonly model: string;
  readonly usage: { readonly inputTokens: number; readonly outputTokens: number };
}

// An invented price of the local model, for the attribute on the span.
const USD_PER_1000_TOKENS = 0.002;
const PREVIEW_CHARACTERS = 200;

/** Runs one generation: the call of the provider in the application's two spans. */
export function generate(
  config: Config,
  request: z.infer<typeof generateRequest>,
  call: (prompt: string) => Promise<Completion>,
): Promise<GenerateReply> {
  const attributes = {
    "jeeves.agent.name": request.agent,
    "jeeves.request.id": requestIdInBaggage(),
    ...(config.RECORD_PROMPTS && {
      "jeeves.llm.prompt.preview": request.prompt.slice(0, PREVIEW_CHARACTERS),
    }),
  };
  return inSpan("llm.generate", attributes, async () => {
    const { text, model, promptTokens, completionTokens } = await callProvider(config, () =>
      call(request.prompt),
    );
    return { text, model, usage: { inputTokens: promptTokens, outputTokens: completionTokens } };
  });
}

function callProvider(config: Config, call: () => Promise<Completion>): Promise<Completion> {
  const provider = new URL(config.LLM_BASE_URL).hostname;
  const attributes = {
    "jeeves.llm.provider": provider,
    "jeeves.llm.model": config.LLM_MODEL,
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": provider,
    "gen_ai.request.model": config.LLM_MODEL,
  };
  return inSpan("llm.provider.call", attributes, async (span) => {
    const completion = await call();
    const { promptTokens, completionTokens } = completion;
    const total = promptTokens + completionTokens;
    span.setAttributes({
      "jeeves.llm.tokens.prompt": promptTokens,
      "jeeves.llm.tokens.completion": completionTokens,
      "jeeves.llm.tokens.total": total,
      "jeeves.llm.cost_usd": (total / 1000) * USD_PER_1000_TOKENS,
      "gen_ai.usage.input_tokens": promptTokens,
      "gen_ai.usage.output_tokens": completionTokens,
    });
    return completion;
  });
}

/** The gRPC status of an error. A failed provider is UNAVAILABLE, or RESOURCE_EXHAUSTED when it answered 429. */
export function toStatus(error: unknown): { code: status; details: string } {
  if (!(error instanceof ProviderError))
    return { code: status.INTERNAL, details: messageOf(error) };
  const code = error.status === 429 ? status.RESOURCE_EXHAUSTED : status.UNAVAILABLE;
  return { code, details: error.message };
}
