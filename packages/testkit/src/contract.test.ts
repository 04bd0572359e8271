import { afterEach, describe, expect, test } from "vitest";
import { type MemoryHarness, memoryAdapter } from "./contract/memory.test.adapter.js";
import { handlerHabits } from "./contract/memory.test.handler.js";
import { incomingHabits } from "./contract/memory.test.incoming.js";
import { outgoingHabits } from "./contract/memory.test.outgoing.js";
import { adapterContract } from "./contract.js";

// What some habits leave behind.
afterEach(() => {
  process.removeAllListeners("SIGUSR2");
  for (const key of Object.keys(Object.prototype)) Reflect.deleteProperty(Object.prototype, key);
});

describe("an honest adapter keeps every promise", () => {
  for (const promise of adapterContract(memoryAdapter())) test(promise.title, promise.run, 30_000);
});

describe("a bad habit is caught", () => {
  const habits = { ...incomingHabits, ...handlerHabits, ...outgoingHabits };
  for (const [habit, { adapter, caughtBy }] of Object.entries(habits)) {
    const promises = adapterContract(memoryAdapter(adapter, { messages: 200 }));
    for (const title of caughtBy) {
      test(`an adapter that ${habit} breaks: ${title}`, async () => {
        const promise = promises.find((one) => one.title === title);
        expect(promise, "no such case").toBeDefined();
        await expect(promise?.run()).rejects.toThrow();
      });
    }
  }
});

test("an adapter may declare that the last of several senders counts, and is held to it", async () => {
  const promises = (adapter?: typeof MemoryHarness) =>
    adapterContract(memoryAdapter(adapter, { repeated: "last" })).filter(({ title }) =>
      /two traceparents|several senders/.test(title),
    );
  const { adapter } = incomingHabits["takes the last of several senders"] ?? {};

  const [promise, ...others] = promises(adapter);

  expect(others).toEqual([]);
  expect(promise?.title).toBe("of several senders the last is continued");
  await promise?.run();
  await expect(promises()[0]?.run()).rejects.toThrow("the last traceparent was not continued");
});

test("each case has a title of its own", () => {
  const titles = adapterContract(memoryAdapter()).map(({ title }) => title);
  expect(new Set(titles).size).toBe(titles.length);
});
