import pLimit from "p-limit";
import { type ChatAnswer, type ChatOptions, chat } from "../system/chat.js";

const CONCURRENCY = 20;

/** Sends many requests, twenty at a time, and gives their answers in order. @throws when one is not answered */
export async function chatMany(
  url: string,
  requests: number,
  optionsOf: (i: number) => ChatOptions = () => ({}),
): Promise<ChatAnswer[]> {
  const limit = pLimit(CONCURRENCY);
  const answers = await Promise.all(
    Array.from({ length: requests }, (_, i) => limit(() => chat(url, optionsOf(i)))),
  );
  const failed = answers.find(({ reply }) => reply === undefined);
  if (failed !== undefined) {
    throw new Error(`not answered: ${failed.status} ${JSON.stringify(failed.error)}`);
  }
  return answers;
}
