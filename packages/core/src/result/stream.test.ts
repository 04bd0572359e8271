import { Duplex, PassThrough, Readable, Transform, Writable } from "node:stream";
import { finished, pipeline } from "node:stream/promises";
import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { failure, watch } from "./watch.test-support.js";

describe("a stream", () => {
  test("is returned as it is, and is finished when it has been read", async () => {
    const stream = Readable.from(["a", "b"]);
    const { result, outcomes } = watch(stream);
    expect(result).toBe(stream);
    expect(outcomes).toEqual([]);
    expect(await result.toArray()).toEqual(["a", "b"]);
    await turn();
    expect(new Set(outcomes)).toEqual(new Set(["done"]));
  });

  test("fails with the error it is destroyed with", async () => {
    const { result, outcomes } = watch(new PassThrough());
    const seen = new Promise((resolve) => result.once("error", resolve));
    result.destroy(failure);
    expect(await seen).toBe(failure);
    await turn();
    expect(outcomes[0]).toBe(failure);
  });

  test("is finished when it is destroyed without an error", async () => {
    const { result, outcomes } = watch(new PassThrough());
    result.destroy();
    await turn();
    expect(outcomes).toEqual(["done"]);
  });

  test("that fails with no handler still throws", async () => {
    const { result, outcomes } = watch(new PassThrough());
    expect(result.listenerCount("error")).toBe(0);
    expect(() => result.emit("error", failure)).toThrow(failure);
    expect(outcomes).toEqual([failure]);
  });

  test("that is written to is finished when it is closed", async () => {
    const { result, outcomes } = watch(
      new Writable({ write: (_chunk, _encoding, next) => next() }),
    );
    result.end("x");
    await finished(result);
    await turn();
    expect(new Set(outcomes)).toEqual(new Set(["done"]));
  });

  test("with two sides is finished when both are", async () => {
    const duplex = new Duplex({
      read() {},
      write: (_chunk, _encoding, next) => next(),
      emitClose: false,
    });
    const { result, outcomes } = watch(duplex);
    result.push(null);
    result.resume();
    await new Promise((resolve) => result.once("end", resolve));
    expect(outcomes).toEqual([]);
    result.end();
    await new Promise((resolve) => result.once("finish", resolve));
    expect(outcomes).toEqual(["done"]);
  });

  test("that never closes, as those of older libraries, is finished at its end", async () => {
    const { result, outcomes } = watch(
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
    expect(outcomes).toEqual(["done"]);
  });

  test("that had ended before is finished at once", async () => {
    const stream = Readable.from(["a"]);
    await stream.toArray();
    await finished(stream).catch(() => {});
    await turn();
    expect(watch(stream).outcomes).toEqual(["done"]);
  });

  test("that had failed before fails at once, with that error", async () => {
    const stream = new PassThrough();
    stream.once("error", () => {});
    stream.destroy(failure);
    await turn();
    expect(watch(stream).outcomes).toEqual([failure]);
  });

  test("in a pipeline passes its data and its error on", async () => {
    const { result, outcomes } = watch(Readable.from(["a", "b"]));
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
    expect(new Set(outcomes)).toEqual(new Set(["done"]));
  });
});
