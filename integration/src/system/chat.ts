import { EventSourceParserStream } from "eventsource-parser/stream";
import { z } from "zod";
import { parseJson } from "./messages.js";

/** A chat request to the gateway. */
export interface ChatOptions {
  readonly message?: string;
  readonly sessionId?: string;
  readonly mode?: "sequential" | "parallel";
  /** Asks for the answer as server-sent events. Default: false. */
  readonly stream?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

/** The answer of the gateway. */
export interface ChatAnswer {
  readonly status: number;
  /** The header X-Trace-Id. Empty when it is missing. */
  readonly traceId: string;
  /** The id that the gateway gave the request. Empty when the answer has none. */
  readonly requestId: string;
  /** The final text. Undefined when the request failed. */
  readonly reply: string | undefined;
  /** The names of the server-sent events in the order of their arrival. */
  readonly events: readonly string[];
  /** The body of a failed request. */
  readonly error: unknown;
}

const done = z.object({ reply: z.string(), request_id: z.string().default("") });
const anything = z.unknown();

/** Sends one chat message to the gateway and reads all of its answer. */
export async function chat(gatewayUrl: string, options: ChatOptions = {}): Promise<ChatAnswer> {
  const { stream = false, signal } = options;
  const response = await fetch(
    new URL(stream ? "/api/v1/chat/stream" : "/api/v1/chat", gatewayUrl),
    {
      method: "POST",
      headers: { "content-type": "application/json", ...options.headers },
      body: JSON.stringify({
        message: options.message ?? "How do I plan a dinner for eight?",
        session_id: options.sessionId ?? "session-1",
        mode: options.mode ?? "sequential",
      }),
      ...(signal && { signal }),
    },
  );
  const head = {
    status: response.status,
    traceId: response.headers.get("x-trace-id") ?? "",
  };
  if (stream && response.ok) return { ...head, ...(await readEvents(response)) };
  const body = await response.text();
  const parsed = parseJson(done, body);
  if (response.ok && "value" in parsed) {
    const { reply, request_id: requestId } = parsed.value;
    return { ...head, requestId, reply, events: [], error: undefined };
  }
  const error = parseJson(anything, body);
  return {
    ...head,
    requestId: "",
    reply: undefined,
    events: [],
    error: "value" in error ? error.value : body,
  };
}

async function readEvents(
  response: Response,
): Promise<Pick<ChatAnswer, "requestId" | "reply" | "events" | "error">> {
  const events: string[] = [];
  let requestId = "";
  let reply: string | undefined;
  let error: unknown;
  const source = response.body
    ?.pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream());
  for await (const { event = "message", data } of source ?? []) {
    events.push(event);
    if (event === "done") {
      const parsed = parseJson(done, data);
      if ("value" in parsed) ({ reply, request_id: requestId } = parsed.value);
    }
    if (event === "error") {
      const parsed = parseJson(anything, data);
      error = "value" in parsed ? parsed.value : data;
    }
  }
  return { requestId, reply, events, error };
}
