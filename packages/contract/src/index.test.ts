import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { adapterContract } from "./index.js";
import { type MemoryHarness, memoryAdapter } from "./memory-adapter.test-support.js";
import { forget, handlerMutants } from "./memory-handler.test-support.js";
import { incomingMutants } from "./memory-incoming.test-support.js";
import { outgoingMutants } from "./memory-outgoing.test-support.js";

// What some mutants leave behind.
afterEach(() => {
  forget();
  process.removeAllListeners("SIGUSR2");
  for (const key of Object.keys(Object.prototype)) Reflect.deleteProperty(Object.prototype, key);
});

describe("an honest adapter keeps every promise", () => {
  for (const { title, run, timeout } of adapterContract(memoryAdapter())) test(title, run, timeout);
});

describe("a mutant is caught", () => {
  const mutants = { ...incomingMutants, ...handlerMutants, ...outgoingMutants };
  for (const [mutant, { adapter, caughtBy, because }] of Object.entries(mutants)) {
    const promises = adapterContract(memoryAdapter(adapter, { leakMessages: 1000 }));
    for (const title of caughtBy) {
      const promise = promises.find((one) => one.title === title);
      const broken = async () => {
        expect(promise, "no such case").toBeDefined();
        await expect(promise?.run()).rejects.toThrow(because);
      };
      test(`an adapter that ${mutant} breaks: ${title}`, broken, promise?.timeout);
    }
  }
});

test("an adapter may declare that the last of several senders counts, and is held to it", async () => {
  const promises = (adapter?: typeof MemoryHarness) =>
    adapterContract(memoryAdapter(adapter, { repeatedTraceparent: "last" })).filter(({ title }) =>
      /two traceparents|several traceparents/.test(title),
    );
  const { adapter } = incomingMutants["takes the last of several senders"] ?? {};

  const [promise, ...others] = promises(adapter);

  expect(others).toEqual([]);
  expect(promise?.title).toBe("the last of several traceparents is continued");
  await promise?.run();
  await expect(promises()[0]?.run()).rejects.toThrow("the last traceparent was not continued");
});

describe("what stays in memory", () => {
  const [lasting, ...others] = adapterContract(memoryAdapter(undefined, { leakMessages: 50 })).sort(
    (one, other) => other.timeout - one.timeout,
  );

  test("is measured by a case that has more time than the others", () => {
    const title = "50 messages leave no span, timer, listener or memory behind";
    expect(lasting?.title).toBe(title);
    expect(lasting?.timeout).toBeGreaterThan(others[0]?.timeout ?? 0);
  });

  test("cannot be measured without --expose-gc, which fails the contract", async () => {
    const { gc } = globalThis;
    onTestFinished(() => {
      globalThis.gc = gc;
    });
    globalThis.gc = undefined;

    await expect(lasting?.run()).rejects.toThrow("node --expose-gc");
  });
});

test("each case has a title of its own", () => {
  const titles = adapterContract(memoryAdapter()).map(({ title }) => title);
  expect(new Set(titles).size).toBe(titles.length);
});
