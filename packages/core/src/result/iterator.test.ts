import { setImmediate as turn } from "node:timers/promises";
import { context } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { failure, iteratorResult, location, watch } from "./watch.test-support.js";

beforeAll(
  () => void context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable()),
);
afterAll(() => context.disable());

describe("a generator", () => {
  function* letters() {
    const seen = [location()];
    yield "a";
    seen.push(location());
    yield "b";
    seen.push(location());
    return seen;
  }

  test("runs each step in the context, and is finished at its end", () => {
    const { result, outcomes } = watch(letters());
    expect([result.next(), result.next()]).toEqual([iteratorResult("a"), iteratorResult("b")]);
    expect(outcomes).toEqual([]);
    expect(location()).toBe("outside");
    expect(result.next()).toEqual(iteratorResult(["inside", "inside", "inside"], true));
    expect(outcomes).toEqual(["done"]);
  });

  test("is finished when its loop is left", () => {
    const { result, outcomes } = watch(letters());
    for (const letter of result) {
      expect(letter).toBe("a");
      break;
    }
    expect(outcomes).toEqual(["done"]);
  });

  test("fails with what it throws, the same", () => {
    const { result, outcomes } = watch(
      (function* () {
        yield 1;
        throw failure;
      })(),
    );
    expect(() => [...result]).toThrow(failure);
    expect(outcomes).toEqual([failure]);
  });

  test("is given values and errors, and may go on after an error", () => {
    const { result, outcomes } = watch(
      (function* (): Generator<unknown, string, unknown> {
        try {
          yield yield "first";
        } catch (error) {
          yield error;
        }
        return "end";
      })(),
    );
    expect([result.next(), result.next("given"), result.throw(failure)]).toEqual([
      iteratorResult("first"),
      iteratorResult("given"),
      iteratorResult(failure),
    ]);
    expect(outcomes).toEqual([]);
    expect(result.return("let go")).toEqual(iteratorResult("let go", true));
    expect(outcomes).toEqual(["done"]);
  });

  test("that cleans up with a further step is finished after it", () => {
    const { result, outcomes } = watch(
      (function* () {
        try {
          yield 1;
        } finally {
          yield "cleaning";
        }
      })(),
    );
    result.next();
    expect(result.return(undefined)).toEqual(iteratorResult("cleaning"));
    expect(outcomes).toEqual([]);
    result.next();
    expect(outcomes).toEqual(["done"]);
  });

  test("may be watched twice", () => {
    const inner = watch(letters());
    const outer = watch(inner.result);
    expect([...outer.result]).toEqual(["a", "b"]);
    expect([inner.outcomes, outer.outcomes]).toEqual([["done"], ["done"]]);
  });
});

describe("an async generator", () => {
  async function* letters() {
    yield location();
    await turn();
    yield location();
  }

  test("runs each step in the context, and is finished at its end", async () => {
    const { result, outcomes } = watch(letters());
    expect(await result.next()).toEqual(iteratorResult("inside"));
    expect(outcomes).toEqual([]);
    expect([await result.next(), await result.next()]).toEqual([
      iteratorResult("inside"),
      iteratorResult(undefined, true),
    ]);
    expect(location()).toBe("outside");
    expect(outcomes).toEqual(["done"]);
  });

  test("is finished when its loop is left", async () => {
    const { result, outcomes } = watch(letters());
    for await (const _ of result) break;
    expect(outcomes).toEqual(["done"]);
  });

  test("fails with what it throws, the same", async () => {
    const { result, outcomes } = watch(
      (async function* () {
        yield 1;
        throw failure;
      })(),
    );
    await result.next();
    await expect(result.next()).rejects.toBe(failure);
    expect(outcomes).toEqual([failure]);
  });

  test("fails with what is thrown into it", async () => {
    const { result, outcomes } = watch(letters());
    await result.next();
    await expect(result.throw(failure)).rejects.toBe(failure);
    expect(outcomes).toEqual([failure]);
  });
});

describe("an iterator of a library's own", () => {
  const bare = { next: () => iteratorResult(location()), [Symbol.iterator]: () => bare };
  const bareAsync = {
    next: () => Promise.resolve(iteratorResult(location())),
    [Symbol.asyncIterator]: () => bareAsync,
  };

  test.each([null, undefined, 42, "text", true])(
    "whose next gives no object, but %s, passes it on, and is not finished",
    (value) => {
      const { result, outcomes } = watch({ next: () => value, [Symbol.iterator]: () => bare });
      expect(result.next()).toBe(value);
      expect(outcomes).toEqual([]);
    },
  );

  test("without return is finished when its loop is left", () => {
    const { result, outcomes } = watch(bare);
    for (const one of result) {
      expect(one).toBe("inside");
      break;
    }
    expect(outcomes).toEqual(["done"]);
  });

  test("without throw fails with what is thrown into it", () => {
    const watched = watch<Iterator<unknown>>(bare);
    expect(() => watched.result.throw?.(failure)).toThrow(failure);
    expect(watched.outcomes).toEqual([failure]);
  });

  test("that is async and has neither gives promises all the same", async () => {
    const first = watch<AsyncIterator<unknown>>(bareAsync);
    const end = first.result.return?.("end");
    expect(end).toBeInstanceOf(Promise);
    expect(await end).toEqual(iteratorResult("end", true));
    expect(first.outcomes).toEqual(["done"]);
    const second = watch<AsyncIterator<unknown>>(bareAsync);
    await expect(second.result.throw?.(failure)).rejects.toBe(failure);
    expect(second.outcomes).toEqual([failure]);
  });
});
