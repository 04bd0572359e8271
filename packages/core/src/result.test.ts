import { EventEmitter } from "node:events";
import { Duplex, PassThrough, Readable, Transform, Writable } from "node:stream";
import { finished, pipeline } from "node:stream/promises";
import { setImmediate as turn } from "node:timers/promises";
import { runInNewContext } from "node:vm";
import { context, createContextKey, ROOT_CONTEXT } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { watchResult } from "./result.js";

const KEY = createContextKey("@traceferry/core test");
const ACTIVE = ROOT_CONTEXT.setValue(KEY, "inside");
const where = () => context.active().getValue(KEY) ?? "outside";
const boom = new RangeError("on purpose");

beforeAll(
  () => void context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable()),
);
afterAll(() => context.disable());

/** Watches a result and writes down what is told, as `"done"` or the error. */
function watch<T>(result: T): { result: T; told: unknown[] } {
  const told: unknown[] = [];
  const watched = watchResult(
    result,
    ACTIVE,
    () => told.push("done"),
    (error) => told.push(error),
  );
  return { result: watched, told };
}

/** A step, made by hand so that an iterator may have as few methods as it likes. */
const step = (value: unknown, done = false) => ({ value, done });

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
    ["an emitter of events", new EventEmitter()],
    ["an object with next alone", { next: () => step(1) }],
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

describe("a generator", () => {
  function* letters() {
    const seen = [where()];
    yield "a";
    seen.push(where());
    yield "b";
    seen.push(where());
    return seen;
  }

  test("runs each step in the context, and is finished at its end", () => {
    const { result, told } = watch(letters());
    expect([result.next(), result.next()]).toEqual([step("a"), step("b")]);
    expect(told).toEqual([]);
    expect(where()).toBe("outside");
    expect(result.next()).toEqual(step(["inside", "inside", "inside"], true));
    expect(told).toEqual(["done"]);
  });

  test("is finished when its reader breaks off", () => {
    const { result, told } = watch(letters());
    for (const letter of result) {
      expect(letter).toBe("a");
      break;
    }
    expect(told).toEqual(["done"]);
  });

  test("fails with what it throws, the same", () => {
    const { result, told } = watch(
      (function* () {
        yield 1;
        throw boom;
      })(),
    );
    expect(() => [...result]).toThrow(boom);
    expect(told).toEqual([boom]);
  });

  test("is given values and errors, and may go on after an error", () => {
    const { result, told } = watch(
      (function* (): Generator<unknown, string, unknown> {
        try {
          yield yield "first";
        } catch (error) {
          yield error;
        }
        return "end";
      })(),
    );
    expect([result.next(), result.next("given"), result.throw(boom)]).toEqual([
      step("first"),
      step("given"),
      step(boom),
    ]);
    expect(told).toEqual([]);
    expect(result.return("let go")).toEqual(step("let go", true));
    expect(told).toEqual(["done"]);
  });

  test("that cleans up with a further step is finished after it", () => {
    const { result, told } = watch(
      (function* () {
        try {
          yield 1;
        } finally {
          yield "cleaning";
        }
      })(),
    );
    result.next();
    expect(result.return(undefined)).toEqual(step("cleaning"));
    expect(told).toEqual([]);
    result.next();
    expect(told).toEqual(["done"]);
  });

  test("may be watched twice", () => {
    const inner = watch(letters());
    const outer = watch(inner.result);
    expect([...outer.result]).toEqual(["a", "b"]);
    expect([inner.told, outer.told]).toEqual([["done"], ["done"]]);
  });
});

describe("an async generator", () => {
  async function* letters() {
    yield where();
    await turn();
    yield where();
  }

  test("runs each step in the context, and is finished at its end", async () => {
    const { result, told } = watch(letters());
    expect(await result.next()).toEqual(step("inside"));
    expect(told).toEqual([]);
    expect([await result.next(), await result.next()]).toEqual([
      step("inside"),
      step(undefined, true),
    ]);
    expect(where()).toBe("outside");
    expect(told).toEqual(["done"]);
  });

  test("is finished when its reader breaks off", async () => {
    const { result, told } = watch(letters());
    for await (const _ of result) break;
    expect(told).toEqual(["done"]);
  });

  test("fails with what it throws, the same", async () => {
    const { result, told } = watch(
      (async function* () {
        yield 1;
        throw boom;
      })(),
    );
    await result.next();
    await expect(result.next()).rejects.toBe(boom);
    expect(told).toEqual([boom]);
  });

  test("fails with what is thrown into it", async () => {
    const { result, told } = watch(letters());
    await result.next();
    await expect(result.throw(boom)).rejects.toBe(boom);
    expect(told).toEqual([boom]);
  });
});

describe("an iterator of a library's own", () => {
  const bare = { next: () => step(where()), [Symbol.iterator]: () => bare };
  const bareAsync = {
    next: () => Promise.resolve(step(where())),
    [Symbol.asyncIterator]: () => bareAsync,
  };

  test("without return is finished when its reader breaks off", () => {
    const { result, told } = watch(bare);
    for (const one of result) {
      expect(one).toBe("inside");
      break;
    }
    expect(told).toEqual(["done"]);
  });

  test("without throw fails with what is thrown into it", () => {
    const watched = watch<Iterator<unknown>>(bare);
    expect(() => watched.result.throw?.(boom)).toThrow(boom);
    expect(watched.told).toEqual([boom]);
  });

  test("that is async and has neither gives promises all the same", async () => {
    const first = watch<AsyncIterator<unknown>>(bareAsync);
    const end = first.result.return?.("end");
    expect(end).toBeInstanceOf(Promise);
    expect(await end).toEqual(step("end", true));
    expect(first.told).toEqual(["done"]);
    const second = watch<AsyncIterator<unknown>>(bareAsync);
    await expect(second.result.throw?.(boom)).rejects.toBe(boom);
    expect(second.told).toEqual([boom]);
  });
});

describe("a stream", () => {
  test("comes back as it is, and is finished when it has been read", async () => {
    const stream = Readable.from(["a", "b"]);
    const { result, told } = watch(stream);
    expect(result).toBe(stream);
    expect(told).toEqual([]);
    expect(await result.toArray()).toEqual(["a", "b"]);
    await turn();
    expect(new Set(told)).toEqual(new Set(["done"]));
  });

  test("fails with the error it is destroyed with", async () => {
    const { result, told } = watch(new PassThrough());
    const seen = new Promise((resolve) => result.once("error", resolve));
    result.destroy(boom);
    expect(await seen).toBe(boom);
    await turn();
    expect(told[0]).toBe(boom);
  });

  test("is finished when it is destroyed without an error", async () => {
    const { result, told } = watch(new PassThrough());
    result.destroy();
    await turn();
    expect(told).toEqual(["done"]);
  });

  test("that fails with no handler still throws where such a stream would", async () => {
    const { result, told } = watch(new PassThrough());
    expect(result.listenerCount("error")).toBe(0);
    expect(() => result.emit("error", boom)).toThrow(boom);
    expect(told).toEqual([boom]);
  });

  test("that is written to is finished when it is closed", async () => {
    const { result, told } = watch(new Writable({ write: (_chunk, _encoding, next) => next() }));
    result.end("x");
    await finished(result);
    await turn();
    expect(new Set(told)).toEqual(new Set(["done"]));
  });

  test("with two sides is finished when both are", async () => {
    const duplex = new Duplex({
      read() {},
      write: (_chunk, _encoding, next) => next(),
      emitClose: false,
    });
    const { result, told } = watch(duplex);
    result.push(null);
    result.resume();
    await new Promise((resolve) => result.once("end", resolve));
    expect(told).toEqual([]);
    result.end();
    await new Promise((resolve) => result.once("finish", resolve));
    expect(told).toEqual(["done"]);
  });

  test("that never closes, as those of older libraries, is finished at its end", async () => {
    const { result, told } = watch(
      new Readable({
        read() {
          this.push(null);
        },
        emitClose: false,
        autoDestroy: false,
      }),
    );
    result.resume();
    await new Promise((resolve) => result.once("end", resolve));
    expect(told).toEqual(["done"]);
  });

  test("that was over before is finished at once", async () => {
    const stream = Readable.from(["a"]);
    await stream.toArray();
    await finished(stream).catch(() => {});
    await turn();
    expect(watch(stream).told).toEqual(["done"]);
  });

  test("that had failed before fails at once, with that error", async () => {
    const stream = new PassThrough();
    stream.once("error", () => {});
    stream.destroy(boom);
    await turn();
    expect(watch(stream).told).toEqual([boom]);
  });

  test("in a pipeline passes its data and its error on", async () => {
    const { result, told } = watch(Readable.from(["a", "b"]));
    const out: string[] = [];
    const upper = new Transform({
      objectMode: true,
      transform: (chunk, _encoding, next) => next(null, String(chunk).toUpperCase()),
    });
    await pipeline(result, upper, async (all) => {
      for await (const one of all) out.push(one);
    });
    expect(out).toEqual(["A", "B"]);
    await turn();
    expect(new Set(told)).toEqual(new Set(["done"]));
  });
});
