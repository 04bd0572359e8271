import { Metadata, status } from "@grpc/grpc-js";
import { recordSpans } from "@traceferry/testkit/record";
import { describe, expect, test } from "vitest";
import { deferred, loopback, type OrdersHandlers } from "../loopback.test-support.js";
import { onlySpanEnd } from "../span-end.test-support.js";
import { withServerTracing } from "./index.js";

const serve = (handlers: Partial<OrdersHandlers>) => loopback(handlers, withServerTracing());

describe("the span of a call ends once", () => {
  test("without an error, with a status that is the client's fault", async () => {
    using spans = recordSpans();
    using shop = await serve({
      place: (_call, answer) => answer({ code: status.NOT_FOUND, details: "no such order" }),
    });

    await expect(shop.client.placeAsync("one order")).rejects.toMatchObject({ code: 5 });

    expect(await onlySpanEnd(spans)).toEqual(["NOT_FOUND", "UNSET", undefined]);
  });

  test("as an error, with a status that is the server's fault, and its details as the message", async () => {
    using spans = recordSpans();
    using shop = await serve({
      place: (_call, answer) => answer({ code: status.UNAVAILABLE, details: "closing time" }),
    });

    await expect(shop.client.placeAsync("one order")).rejects.toMatchObject({ code: 14 });

    expect(await onlySpanEnd(spans)).toEqual(["UNAVAILABLE", "ERROR", "UNAVAILABLE"]);
    expect(spans.ended[0]?.status.message).toBe("closing time");
  });

  test("as an error, when a handler throws at once", async () => {
    using spans = recordSpans();
    using shop = await serve({
      place() {
        throw new RangeError("out of stock");
      },
    });

    await expect(shop.client.placeAsync("one order")).rejects.toMatchObject({ code: 2 });

    expect(await onlySpanEnd(spans)).toEqual(["UNKNOWN", "ERROR", "UNKNOWN"]);
  });

  test("when a handler of a stream emits an error", async () => {
    using spans = recordSpans();
    using shop = await serve({
      list: (call) => {
        call.emit("error", { code: status.DATA_LOSS, details: "half of it is gone" });
      },
    });

    await expect(shop.client.list("all").toArray()).rejects.toMatchObject({ code: 15 });

    expect(await onlySpanEnd(spans)).toEqual(["DATA_LOSS", "ERROR", "DATA_LOSS"]);
  });

  test("with its first status, when the handler answers after the client has cancelled", async () => {
    using spans = recordSpans();
    const late = deferred();
    using shop = await serve({
      place(call, answer) {
        call.on("cancelled", () => {
          answer(null, "too late");
          late.resolve();
        });
        clientCall.cancel();
      },
    });

    const clientCall = shop.client.place("one order", new Metadata(), {}, () => undefined);
    await late.promise;

    expect(await onlySpanEnd(spans)).toEqual(["CANCELLED", "UNSET", undefined]);
  });

  test("with its first status, when the handler answers twice", async () => {
    using spans = recordSpans();
    using shop = await serve({
      place(_call, answer) {
        answer({ code: status.ABORTED, details: "" });
        answer({ code: status.INTERNAL, details: "" });
      },
    });

    await expect(shop.client.placeAsync("one order")).rejects.toMatchObject({ code: 10 });

    expect(await onlySpanEnd(spans)).toEqual(["ABORTED", "UNSET", undefined]);
  });

  test("when the server is shut down by force", async () => {
    using spans = recordSpans();
    using shop = await serve({ place: () => shop.server.forceShutdown() });

    await expect(shop.client.placeAsync("one order")).rejects.toMatchObject({ code: 1 });

    expect(await onlySpanEnd(spans)).toEqual(["CANCELLED", "UNSET", undefined]);
  });

  test("as UNKNOWN, with that as the message, for a status that gRPC does not define and no details", async () => {
    using spans = recordSpans();
    using shop = await serve({
      place: (_call, answer) => answer({ code: Number(99), details: "" }),
    });

    await expect(shop.client.placeAsync("one order")).rejects.toBeDefined();

    expect(await onlySpanEnd(spans)).toEqual(["UNKNOWN", "ERROR", "UNKNOWN"]);
    expect(spans.ended[0]?.status.message).toBe("UNKNOWN");
  });
});
