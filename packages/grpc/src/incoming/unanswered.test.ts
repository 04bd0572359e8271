import {
  type CallOptions,
  Metadata,
  ServerInterceptingCall,
  type ServerInterceptor,
  type ServerOptions,
} from "@grpc/grpc-js";
import { sender } from "@traceferry/testkit";
import { recordSpans } from "@traceferry/testkit/record";
import { describe, expect, test, vi } from "vitest";
import {
  deferred,
  loopback,
  metadataOf,
  type OrdersHandlers,
  overrideCalls,
  SLOW_TEST,
} from "../loopback.test-support.js";
import { firstSpanEnd, onlySpanEnd, waitForEnded } from "../span-end.test-support.js";
import { serverInterceptor, withServerTracing } from "./index.js";

const serve = (handlers: Partial<OrdersHandlers>, options: ServerOptions = {}) =>
  loopback(handlers, withServerTracing(options));

describe("the span of a call that its handler did not answer ends once", () => {
  test("at the deadline, when the server's own timer fires first", async () => {
    using spans = recordSpans();
    using shop = await serve({ place: () => undefined });
    // The client sends a deadline and does not hold it itself.
    const metadata = metadataOf([["grpc-timeout", "40m"]]);

    await expect(shop.client.placeAsync("one order", metadata)).rejects.toMatchObject({ code: 4 });

    expect(await onlySpanEnd(spans)).toEqual(["DEADLINE_EXCEEDED", "ERROR", "DEADLINE_EXCEEDED"]);
  });

  test.each([
    ["DEADLINE_EXCEEDED", 50],
    ["CANCELLED", 51],
  ])("as %s, when the client resets it %d ms before the deadline", async (code, inMs) => {
    using spans = recordSpans();
    using _clock = vi.spyOn(Date, "now").mockReturnValue(Date.now());
    const nearDeadline = overrideCalls({ getDeadline: () => Date.now() + inMs });
    using shop = await loopback(
      { place: () => clientCall.cancel() },
      { interceptors: [nearDeadline, serverInterceptor()] },
    );

    const clientCall = shop.client.place("one order", new Metadata(), {}, () => undefined);

    const [statusCode] = await onlySpanEnd(spans);
    expect(statusCode).toBe(code);
  });

  test("as cancelled, when reading its deadline throws, which is reported", async () => {
    using spans = recordSpans();
    using shop = await loopback(
      { place: () => clientCall.cancel() },
      { interceptors: [withoutDeadline, serverInterceptor()] },
    );

    const clientCall = shop.client.place("one order", new Metadata(), {}, () => undefined);

    await waitForEnded(spans, 1);
    expect(firstSpanEnd(spans)).toEqual(["CANCELLED", "UNSET", undefined]);
    expect(spans.warnings).toEqual([expect.stringContaining("RangeError: no clock")]);
  });

  test("at the deadline, whichever side is first, in a hundred calls", SLOW_TEST, async () => {
    using spans = recordSpans();
    let reached = 0;
    using shop = await serve({
      place() {
        reached++;
      },
    });

    const calls = Array.from({ length: 100 }, (_, number) =>
      shop.client.placeAsync("one order", new Metadata(), { deadline: Date.now() + 60 + number }),
    );
    await Promise.allSettled(calls);

    // On a busy machine a deadline may pass before its call has left.
    await vi.waitFor(
      () => expect(spans.ended.length).toBeGreaterThanOrEqual(reached),
      SLOW_TEST.timeout / 2,
    );
    await vi.waitFor(() => expect(spans.open).toEqual([]), SLOW_TEST.timeout / 2);
    expect(spans.warnings).toEqual([]);
    expect(new Set(spans.ended.map(({ spanId }) => spanId)).size).toBe(spans.ended.length);
  });

  test("as cancelled, when the client cancels before a far deadline", async () => {
    using spans = recordSpans();
    using shop = await serve({ place: () => clientCall.cancel() });
    const options: CallOptions = { deadline: Date.now() + 60_000 };

    const clientCall = shop.client.place("one order", new Metadata(), options, () => undefined);

    expect(await onlySpanEnd(spans)).toEqual(["CANCELLED", "UNSET", undefined]);
  });

  test("as cancelled, when the client leaves a stream that is being written", async () => {
    using spans = recordSpans();
    using shop = await serve({
      list(call) {
        const more = () => {
          if (!call.cancelled) call.write("x".repeat(100_000), more);
        };
        more();
      },
    });

    const stream = shop.client.list("all");
    stream.once("error", ignore).once("data", () => stream.cancel());

    expect(await onlySpanEnd(spans)).toEqual(["CANCELLED", "UNSET", undefined]);
  });

  test("as cancelled, when the client leaves a stream in both directions", async () => {
    using spans = recordSpans();
    using shop = await serve({ chat: (call) => call.write("hello") });

    const stream = shop.client.chat();
    stream.once("error", ignore).once("data", () => stream.cancel());

    const [code] = await onlySpanEnd(spans);
    expect(code).toBe("CANCELLED");
  });

  test("as an error, when the answer cannot be written", async () => {
    using spans = recordSpans();
    using shop = await serve(
      { place: (_call, answer) => answer(null, "far too long") },
      { "grpc.max_send_message_length": 3 },
    );

    await expect(shop.client.placeAsync("one order")).rejects.toMatchObject({ code: 8 });

    expect(await onlySpanEnd(spans)).toEqual(["INTERNAL", "ERROR", "INTERNAL"]);
    expect(spans.ended[0]?.status.message).toBe("no status was sent");
  });

  test("as cancelled, when the client leaves between the answer and its status", async () => {
    using spans = recordSpans();
    const slow: ServerInterceptor = (_definition, nextCall) =>
      new ServerInterceptingCall(nextCall, { sendStatus: () => clientCall.cancel() });
    using shop = await serve(
      { place: (_call, answer) => answer(null, "done") },
      { interceptors: [slow] },
    );

    const clientCall = shop.client.place("one order", new Metadata(), {}, () => undefined);

    expect(await onlySpanEnd(spans)).toEqual(["CANCELLED", "UNSET", undefined]);
  });
});

test("the deadline of a call that was answered is not read", async () => {
  using spans = recordSpans();
  const cancelled = deferred();
  using shop = await loopback(
    {
      place(call, answer) {
        // grpc-js emits this at the end of every call.
        call.on("cancelled", cancelled.resolve);
        answer(null, "done");
      },
    },
    { interceptors: [withoutDeadline, serverInterceptor()] },
  );

  await shop.client.placeAsync("one order");
  await cancelled.promise;

  expect(await onlySpanEnd(spans)).toEqual(["OK", "UNSET", undefined]);
});

test(
  "three hundred streams that are cancelled leave no span open, and each continues its own sender",
  SLOW_TEST,
  async () => {
    using spans = recordSpans();
    using shop = await serve({ chat: (call) => call.write("hello") });
    const cancelOne = () =>
      new Promise<void>((resolve) => {
        const stream = shop.client.chat(metadataOf(sender().headers));
        stream.once("data", () => stream.cancel());
        stream.once("error", () => resolve());
      });

    for (let round = 0; round < 10; round++)
      await Promise.all(Array.from({ length: 30 }, cancelOne));

    await waitForEnded(spans, 300, SLOW_TEST.timeout / 2);
    expect(new Set(spans.ended.map(({ traceId }) => traceId)).size).toBe(300);
  },
);

const withoutDeadline = overrideCalls({
  getDeadline() {
    throw new RangeError("no clock");
  },
});

function ignore(): void {}
