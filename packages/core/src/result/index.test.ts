import { EventEmitter } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { boom, watch } from "./watch.test-support.js";

describe("at once finished, and the same, is", () => {
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
    const { result, told } = watch(value);
    expect(result).toBe(value);
    expect(told).toEqual(["done"]);
  });
});

describe("a promise", () => {
  test("is finished when it is fulfilled, with the same value", async () => {
    const value = {};
    const { result, told } = watch(Promise.resolve(value));
    expect(told).toEqual([]);
    expect(await result).toBe(value);
    expect(told).toEqual(["done"]);
  });

  test("fails with the error it is rejected with, and is rejected with the same", async () => {
    const { result, told } = watch(Promise.reject(boom));
    await expect(result).rejects.toBe(boom);
    expect(told).toEqual([boom]);
  });

  test("of another realm is one too", async () => {
    const { result, told } = watch(runInNewContext("Promise.resolve(1)"));
    expect(told).toEqual([]);
    expect(await result).toBe(1);
    expect(told).toEqual(["done"]);
  });

  test("of a library of its own is one too, and is asked once", async () => {
    let asked = 0;
    const lazy = {
      // biome-ignore lint/suspicious/noThenProperty: query builders are like this.
      then(fulfilled: (value: number) => void) {
        asked++;
        fulfilled(1);
      },
    };
    const { result, told } = watch<unknown>(lazy);
    expect(told).toEqual([]);
    expect(await result).toBe(1);
    expect(asked).toBe(1);
    expect(told).toEqual(["done"]);
  });

  test("of a class of its own stays one", async () => {
    class Cancelable extends Promise<number> {
      cancel() {}
    }
    const { result, told } = watch(Cancelable.resolve(1));
    expect(result).toBeInstanceOf(Cancelable);
    expect(await result).toBe(1);
    expect(told).toEqual(["done"]);
  });

  test("that nobody handles is still an unhandled rejection, once, with the same error", async () => {
    const listeners = process.listeners("unhandledRejection");
    process.removeAllListeners("unhandledRejection");
    const unhandled: unknown[] = [];
    process.on("unhandledRejection", (error) => unhandled.push(error));
    try {
      watch(Promise.reject(boom));
      await turn();
      await turn();
    } finally {
      process.removeAllListeners("unhandledRejection");
      for (const listener of listeners) process.on("unhandledRejection", listener);
    }
    expect(unhandled).toEqual([boom]);
  });
});
