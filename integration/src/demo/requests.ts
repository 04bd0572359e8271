import pLimit from "p-limit";
import { type ChatAnswer, chat } from "../system/chat.js";
import type { DemoOptions } from "./options.js";

const QUESTIONS = [
  "How do I plan a dinner for eight?",
  "Which tea goes with lemon cake?",
  "Draft a note to decline the invitation.",
  "What is on the calendar for Thursday?",
];

// Fewer requests are done before progress would be of use.
const PROGRESS_FROM = 20;
const PROGRESS_EVERY_MS = 2000;

/** Sends all requests, `concurrency` at a time. Returns their answers in order; one that failed has no reply. */
export async function sendRequests(
  gatewayUrl: string,
  {
    requests,
    concurrency,
    stream,
    parallel,
  }: Pick<DemoOptions, "requests" | "concurrency" | "stream" | "parallel">,
  log: (line: string) => void,
  signal: AbortSignal,
): Promise<ChatAnswer[]> {
  const limit = pLimit(concurrency);
  let answered = 0;
  const timer = setInterval(() => {
    if (requests >= PROGRESS_FROM) log(`requests: ${answered} of ${requests} answered`);
  }, PROGRESS_EVERY_MS);
  try {
    return await Promise.all(
      Array.from({ length: requests }, (_, i) =>
        limit(async () => {
          signal.throwIfAborted();
          const answer = await send(gatewayUrl, i, { stream, parallel }, signal);
          answered++;
          return answer;
        }),
      ),
    );
  } finally {
    clearInterval(timer);
  }
}

async function send(
  gatewayUrl: string,
  i: number,
  { stream, parallel }: Pick<DemoOptions, "stream" | "parallel">,
  signal: AbortSignal,
): Promise<ChatAnswer> {
  try {
    return await chat(gatewayUrl, {
      message: QUESTIONS[i % QUESTIONS.length] ?? "",
      sessionId: `session-${i % 10}`,
      mode: parallel ? "parallel" : "sequential",
      stream,
      signal,
    });
  } catch (error) {
    signal.throwIfAborted();
    return {
      status: 0,
      traceId: "",
      requestId: "",
      reply: undefined,
      events: [],
      error: String(error),
    };
  }
}
