// A local, deterministic, OpenAI-compatible server. It stands for a service outside of the system, so it is not traced.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { type Config, readConfig } from "../system/config.js";
import { parseJson } from "../system/messages.js";
import { hostAndPort, runRole } from "../system/service.js";

const MAX_BODY_BYTES = 1024 * 1024;

const completionRequest = z.object({
  model: z.string(),
  stream: z.boolean().default(false),
  messages: z.array(z.object({ role: z.string(), content: z.string() })).min(1),
});

function startProvider(config: Config) {
  const server = createServer((request, response) => {
    answer(request, response, config.PROVIDER_LATENCY_MS).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : undefined);
    });
  });
  return new Promise<{ address: string; stop: () => Promise<void> }>((resolve, reject) => {
    server.once("error", reject);
    server.listen(config.PORT, config.HOST, () => {
      resolve({
        address: hostAndPort(server.address()),
        stop: () =>
          new Promise((done) => {
            server.close(() => done());
            server.closeAllConnections();
          }),
      });
    });
  });
}

/**
 * Answers one request. Headers ask for failures: `x-provider-status: 503` for that status, `x-provider-latency: 500` for a
 * delay in milliseconds, `x-provider-cut: 1` for a stream that breaks off in the middle.
 */
async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  latencyMs: number,
): Promise<void> {
  if (request.method !== "POST" || request.url !== "/v1/chat/completions") {
    return fail(response, 404, "there is only POST /v1/chat/completions");
  }
  const text = await readBody(request);
  if (text === undefined) return fail(response, 413, "the body is too large");
  const parsed = parseJson(completionRequest, text);
  if ("reason" in parsed) return fail(response, 400, parsed.reason);

  await pause(numberIn(request, "x-provider-latency") ?? latencyMs);
  const status = numberIn(request, "x-provider-status");
  if (status !== undefined) return fail(response, status, "failing as asked");

  const { model, stream, messages } = parsed.value;
  const prompt = messages.at(-1)?.content ?? "";
  const words =
    `At your service. You asked: ${prompt.slice(0, 200)}. I would look into it step by step.`
      .split(" ")
      .map((word, i) => (i === 0 ? word : ` ${word}`));
  const usage = {
    prompt_tokens: Math.ceil(prompt.length / 4),
    completion_tokens: words.length,
    total_tokens: Math.ceil(prompt.length / 4) + words.length,
  };
  if (!stream) {
    response.writeHead(200, { "content-type": "application/json" });
    const message = { role: "assistant", content: words.join("") };
    response.end(JSON.stringify({ model, choices: [{ index: 0, message }], usage }));
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  const cutAfter = numberIn(request, "x-provider-cut") === undefined ? undefined : words.length / 2;
  for (const [i, content] of words.entries()) {
    if (cutAfter !== undefined && i > cutAfter) {
      response.destroy();
      return;
    }
    send(response, { model, choices: [{ index: 0, delta: { content } }] });
  }
  send(response, { model, choices: [{ index: 0, delta: {}, finish_reason: "stop" }] });
  // The last chunk has the usage and no choice, as OpenAI sends it.
  send(response, { model, choices: [], usage });
  response.end("data: [DONE]\n\n");
}

function send(response: ServerResponse, chunk: object): void {
  response.write(`data: ${JSON.stringify(chunk)}\n\n`);
}

function fail(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify({ error: { message } }));
}

async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    if (!Buffer.isBuffer(chunk)) continue;
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function numberIn(request: IncomingMessage, header: string): number | undefined {
  const value = Number(request.headers[header]);
  return Number.isInteger(value) && value >= 0 && value <= 60_000 ? value : undefined;
}

await runRole({ name: "provider", start: () => startProvider(readConfig()) });
