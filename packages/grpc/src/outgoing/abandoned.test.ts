import { once } from "node:events";
import { InterceptingCall, type Interceptor } from "@grpc/grpc-js";
import { recordSpans } from "@traceferry/testkit/record";
import { describe, expect, test } from "vitest";
import { deferred, loopback, type OrdersHandlers, SLOW_TEST } from "../loopback.test-support.js";
import { onlySpanEnd, waitForEnded } from "../span-end.test-support.js";
import { withClientTracing } from "./index.js";

const callTo = (handlers: Partial<OrdersHandlers>) => loopback(handlers, {}, withClientTracing());

const CANCELLED = ["CANCELLED", "ERROR", "CANCELLED"];

describe("the span of a stream ends once", () => {
  test("when the stream of answers is left by break", async () => {
    using spans = recordSpans();
    using shop = await callTo({ list: (call) => call.write("one") });

    for await (const _ of shop.client.list("all").on("error", ignore)) break;

    expect(await onlySpanEnd(spans)).toEqual(CANCELLED);
  });

  test("when a stream in both directions is left by break", async () => {
    using spans = recordSpans();
    using shop = await callTo({ chat: (call) => call.write("one") });

    for await (const _ of shop.client.chat().on("error", ignore)) break;

    expect(await onlySpanEnd(spans)).toEqual(CANCELLED);
  });

  test("when a stream in both directions is left by break, after its last request", async () => {
    using spans = recordSpans();
    using shop = await callTo({ chat: (call) => call.on("end", () => call.write("one")).resume() });

    const stream = shop.client.chat().on("error", ignore);
    stream.end("hello");
    await once(stream, "finish");
    for await (const _ of stream) break;

    expect(await onlySpanEnd(spans)).toEqual(CANCELLED);
    expect(spans.ended[0]?.status.message).toBe("the caller abandoned the stream");
  });

  test("with the status of a cancelled call, when it is left by break and cancelled at once", async () => {
    using spans = recordSpans();
    // Comes after ours, and passes the status on a little later.
    const delayStatus: Interceptor = (options, nextCall) =>
      new InterceptingCall(nextCall(options), {
        start: (metadata, _listener, next) =>
          next(metadata, {
            onReceiveStatus: (received, proceed) => queueMicrotask(() => proceed(received)),
          }),
      });
    using shop = await loopback(
      { list: (call) => call.write("one") },
      {},
      withClientTracing({ interceptors: [delayStatus] }),
    );

    const stream = shop.client.list("all").on("error", ignore);
    for await (const _ of stream) break;
    stream.cancel();

    expect(await onlySpanEnd(spans)).toEqual(CANCELLED);
    expect(spans.ended[0]?.status.message).toBe("Cancelled on client");
  });

  test("when a stream that nobody reads is destroyed", async () => {
    using spans = recordSpans();
    const served = deferred();
    using shop = await callTo({
      list(call) {
        call.write("one");
        call.end();
        served.resolve();
      },
    });

    const stream = shop.client.list("all").on("error", ignore);
    await served.promise;
    stream.destroy();

    expect(await onlySpanEnd(spans)).toEqual(CANCELLED);
  });

  test("when a stream of requests is destroyed half-way", async () => {
    using spans = recordSpans();
    using shop = await callTo({ collect: () => undefined });

    const stream = shop.client.collect(() => undefined);
    stream.write("one");
    stream.destroy();

    expect(await onlySpanEnd(spans)).toEqual(CANCELLED);
  });

  test("when the answer to a stream of requests comes, long after the last request", async () => {
    using spans = recordSpans();
    const closed = deferred();
    using shop = await callTo({
      async collect(call, answer) {
        for await (const _ of call);
        await closed.promise;
        // Two turns later, everything that the client does at the close of its stream is done.
        await new Promise(setImmediate);
        await new Promise(setImmediate);
        answer(null, "done");
      },
    });

    const answered = new Promise((resolve) => {
      const stream = shop.client.collect((_error, text) => resolve(text));
      stream.once("close", closed.resolve);
      stream.end("one");
    });

    expect(await answered).toBe("done");
    expect(await onlySpanEnd(spans)).toEqual(["OK", "UNSET", undefined]);
  });
});

test("three hundred streams that are left by break leave no span open", SLOW_TEST, async () => {
  using spans = recordSpans();
  using shop = await callTo({ list: (call) => call.write("one") });
  const abandonOne = async () => {
    const stream = shop.client.list("all").on("error", ignore);
    for await (const _ of stream) break;
    stream.cancel();
  };

  for (let round = 0; round < 10; round++)
    await Promise.all(Array.from({ length: 30 }, abandonOne));

  await waitForEnded(spans, 300, SLOW_TEST.timeout / 2);
});

// An abandoned stream may emit an error when its connection is closed.
function ignore(): void {}
