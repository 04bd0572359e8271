import { EventEmitter } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { failure, watch } from "./watch.test-support.js";

describe("a result is returned unchanged, and is finished at once, when it is", () => {
  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["null", null],
    ["a number", 42],
    ["a text", "text"],
    ["a list", [1, 2]],
    ["a map", new Map()],
    ["an object", { a: 1 }],
    ["a function", () => 1],
    ["an object whose then is no function", JSON.parse('{ "then": 1 }')],
    ["an object with pipe alone", { pipe: () => {} }],
    ["an emitter whose pipe is no function", Object.assign(new EventEmitter(), { pipe: true })],
    ["an emitter of events", new EventEmitter()],
    ["an object with next alone", { next: () => ({ value: 1 }) }],
    ["a list whose next is no function", Object.assign([1, 2], { next: "page 2" })],
    ["a web stream", new ReadableStream()],
  ])("%s", (_, value) => {
    const { result, outcomes } = watch(value);
    expect(result).toBe(value);
    expect(outcomes).toEqual(["done"]);
  });
});

describe("a promise", () => {
  test("is finished when it is fulfilled, with the same value", async () => {
    const value = {};
    const { result, outcomes } = watch(Promise.resolve(value));
    expect(outcomes).toEqual([]);
    expect(await result).toBe(value);
    expect(outcomes).toEqual(["done"]);
  });

  test("fails with the error it is rejected with, and is rejected with the same", async () => {
    const { result, outcomes } = watch(Promise.reject(failure));
    await expect(result).rejects.toBe(failure);
    expect(outcomes).toEqual([failure]);
  });

  test("of another realm is one too", async () => {
    const { result, outcomes } = watch(runInNewContext("Promise.resolve(1)"));
    expect(outcomes).toEqual([]);
    expect(await result).toBe(1);
    expect(outcomes).toEqual(["done"]);
  });

  test("of a library of its own is one too, and its then is called once", async () => {
    let asked = 0;
    const lazy = {
      // biome-ignore lint/suspicious/noThenProperty: query builders are like this.
      then(fulfilled: (value: number) => void) {
        asked++;
        fulfilled(1);
      },
    };
    const { result, outcomes } = watch<unknown>(lazy);
    expect(outcomes).toEqual([]);
    expect(await result).toBe(1);
    expect(asked).toBe(1);
    expect(outcomes).toEqual(["done"]);
  });

  test("of a class of its own stays one", async () => {
    class Cancelable extends Promise<number> {
      cancel() {}
    }
    const { result, outcomes } = watch(Cancelable.resolve(1));
    expect(result).toBeInstanceOf(Cancelable);
    expect(await result).toBe(1);
    expect(outcomes).toEqual(["done"]);
  });

  test("that nobody handles is still an unhandled rejection, once, with the same error", async () => {
    const listeners = process.listeners("unhandledRejection");
    process.removeAllListeners("unhandledRejection");
    const unhandled: unknown[] = [];
    process.on("unhandledRejection", (error) => unhandled.push(error));
    try {
      watch(Promise.reject(failure));
      await turn();
      await turn();
    } finally {
      process.removeAllListeners("unhandledRejection");
      for (const listener of listeners) process.on("unhandledRejection", listener);
    }
    expect(unhandled).toEqual([failure]);
  });
});
