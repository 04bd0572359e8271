import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { adapterContract } from "./index.js";
import { type MemoryHarness, memoryAdapter } from "./memory-adapter.test-support.js";
import { faultMutants } from "./mutants-faults.test-support.js";
import { handlerMutants } from "./mutants-handler.test-support.js";
import { incomingMutants } from "./mutants-incoming.test-support.js";
import { leakMutants, releaseLeaked } from "./mutants-leaks.test-support.js";
import { limitMutants } from "./mutants-limits.test-support.js";
import { outgoingMutants } from "./mutants-outgoing.test-support.js";
import { relationMutants } from "./mutants-relation.test-support.js";

// Some mutants leave state in the process.
afterEach(() => {
  releaseLeaked();
  process.removeAllListeners("SIGUSR2");
  for (const key of Object.keys(Object.prototype)) Reflect.deleteProperty(Object.prototype, key);
});

describe("the memory adapter keeps every promise", () => {
  for (const { title, run, timeout } of adapterContract(memoryAdapter())) test(title, run, timeout);
});

describe("a mutant is caught", () => {
  const mutants = {
    ...incomingMutants,
    ...relationMutants,
    ...handlerMutants,
    ...outgoingMutants,
    ...limitMutants,
    ...faultMutants,
    ...leakMutants,
  };
  for (const [mutant, { adapter, caughtBy, because }] of Object.entries(mutants)) {
    const cases = adapterContract(memoryAdapter(adapter, { leakMessages: 1000 }));
    for (const title of caughtBy) {
      const broken = cases.find((each) => each.title === title);
      const assertBroken = async () => {
        expect(broken, "no such case").toBeDefined();
        await expect(broken?.run()).rejects.toThrow(because);
      };
      test(`an adapter that ${mutant} breaks: ${title}`, assertBroken, broken?.timeout);
    }
  }
});

test("an adapter may declare that the last of several traceparents counts, and is held to it", async () => {
  const repeatedCases = (adapter?: typeof MemoryHarness) =>
    adapterContract(memoryAdapter(adapter, { repeatedTraceparent: "last" })).filter(({ title }) =>
      /two traceparents|several traceparents/.test(title),
    );
  const { adapter } = incomingMutants["takes the last of several senders"] ?? {};

  const [lastCase, ...others] = repeatedCases(adapter);

  expect(others).toEqual([]);
  expect(lastCase?.title).toBe("the last of several traceparents is continued");
  await lastCase?.run();
  await expect(repeatedCases()[0]?.run()).rejects.toThrow("the last traceparent was not continued");
});

describe("the leak case", () => {
  const [leakCase, ...others] = adapterContract(
    memoryAdapter(undefined, { leakMessages: 50 }),
  ).sort((one, other) => other.timeout - one.timeout);

  test("has more time than the others", () => {
    const title = "50 messages leave no span, timer, listener or memory behind";
    expect(leakCase?.title).toBe(title);
    expect(leakCase?.timeout).toBeGreaterThan(others[0]?.timeout ?? 0);
  });

  test("fails without --expose-gc, because memory cannot be measured", async () => {
    const { gc } = globalThis;
    onTestFinished(() => {
      globalThis.gc = gc;
    });
    globalThis.gc = undefined;

    await expect(leakCase?.run()).rejects.toThrow("node --expose-gc");
  });
});

test("each case has a title of its own", () => {
  const titles = adapterContract(memoryAdapter()).map(({ title }) => title);
  expect(new Set(titles).size).toBe(titles.length);
});
