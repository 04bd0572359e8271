import { setImmediate as turn } from "node:timers/promises";
import { context } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { boom, step, watch, where } from "./watch.test-support.js";

beforeAll(
  () => void context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable()),
);
afterAll(() => context.disable());

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

  test.each([null, undefined, 42, "text", true])(
    "whose step is no object, but %s, hands it on, and is not finished",
    (value) => {
      const { result, told } = watch({ next: () => value, [Symbol.iterator]: () => bare });
      expect(result.next()).toBe(value);
      expect(told).toEqual([]);
    },
  );

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
