import { once } from "node:events";
import { connect, createServer } from "node:net";
import {
  type CallOptions,
  InterceptingCall,
  type Interceptor,
  Metadata,
  status,
} from "@grpc/grpc-js";
import { recordSpans } from "@traceferry/testkit/record";
import { describe, expect, test } from "vitest";
import { echoServer, NOTHING, NOWHERE, portOf } from "../echo-server.test-support.js";
import { loopback, OrdersClient, type OrdersHandlers } from "../loopback.test-support.js";
import { onlySpanEnd } from "../span-end.test-support.js";
import { withClientTracing } from "./index.js";

const callTo = (handlers: Partial<OrdersHandlers>) => loopback(handlers, {}, withClientTracing());

const failed = (name: string) => [name, "ERROR", name];

describe("the span of a call ends once", () => {
  test("without an error, for each kind of call that succeeds", async () => {
    using spans = recordSpans();
    using shop = await callTo({
      place: (_call, answer) => answer(null, "done"),
      collect: (call, answer) => {
        call.on("data", () => undefined).on("end", () => answer(null, "done"));
      },
      list: (call) => call.end(),
      chat: (call) => {
        call.on("data", () => undefined).on("end", () => call.end());
      },
    });

    await shop.client.placeAsync("one order");
    await new Promise((resolve) => shop.client.collect(resolve).end("one order"));
    await shop.client.list("all").toArray();
    await Promise.all([shop.client.chat().end("hello").toArray()]);

    expect(spans.ended.map(({ name, kind, status: { code } }) => [name, kind, code])).toEqual([
      ["shop.v1.Orders/Place", "CLIENT", "UNSET"],
      ["shop.v1.Orders/Collect", "CLIENT", "UNSET"],
      ["shop.v1.Orders/List", "CLIENT", "UNSET"],
      ["shop.v1.Orders/Chat", "CLIENT", "UNSET"],
    ]);
    expect(spans.warnings).toEqual([]);
  });

  test("as an error with every status but OK, with its details as the message", async () => {
    using spans = recordSpans();
    using shop = await callTo({
      place: (_call, answer) => answer({ code: status.NOT_FOUND, details: "no such order" }),
    });

    await expect(shop.client.placeAsync("one order")).rejects.toMatchObject({ code: 5 });

    expect(await onlySpanEnd(spans)).toEqual(failed("NOT_FOUND"));
    expect(spans.ended[0]?.status.message).toBe("no such order");
  });

  test("with its status as the message, where the peer sends no details", async () => {
    using spans = recordSpans();
    await using echo = await echoServer();
    using client = new OrdersClient(echo.port, withClientTracing());

    await expect(client.callAsync(NOWHERE, "one order")).rejects.toMatchObject({ code: 12 });

    expect(await onlySpanEnd(spans)).toEqual(failed("UNIMPLEMENTED"));
    expect(spans.ended[0]?.status.message).toBe("UNIMPLEMENTED");
  });

  test("before the caller's callback runs", async () => {
    using spans = recordSpans();
    using shop = await callTo({ place: (_call, answer) => answer(null, "done") });

    const open = await new Promise((resolve) => {
      shop.client.place("one order", new Metadata(), {}, () => resolve([...spans.open]));
    });

    expect(open).toEqual([]);
  });

  test.each([
    ["at its deadline", 30],
    ["when its deadline was over before it started", -1000],
  ])("%s", async (_, inMs) => {
    using spans = recordSpans();
    using shop = await callTo({ place: () => undefined });
    const options: CallOptions = { deadline: Date.now() + inMs };

    await expect(shop.client.placeAsync("one", new Metadata(), options)).rejects.toMatchObject({
      code: 4,
    });

    expect(await onlySpanEnd(spans)).toEqual(failed("DEADLINE_EXCEEDED"));
  });

  test("when it is cancelled", async () => {
    using spans = recordSpans();
    using shop = await callTo({ place: () => call.cancel() });

    const call = shop.client.place("one order", new Metadata(), {}, () => undefined);

    expect(await onlySpanEnd(spans)).toEqual(failed("CANCELLED"));
  });

  test("when nobody listens at the address", async () => {
    using spans = recordSpans();
    // The client end of a connection holds its port, so that no other process can listen there meanwhile.
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const taken = connect({ host: "127.0.0.1", port: portOf(server.address()) });
    await once(taken, "connect");
    using client = new OrdersClient(portOf(taken.address()), withClientTracing());

    await expect(client.placeAsync("one order")).rejects.toMatchObject({ code: 14 });
    taken.destroy();
    server.close();

    expect(await onlySpanEnd(spans)).toEqual(failed("UNAVAILABLE"));
    expect(spans.ended[0]?.attributes["network.peer.address"]).toBeUndefined();
  });

  test("with the status that its caller gets, when the response is missing", async () => {
    using spans = recordSpans();
    await using echo = await echoServer();
    using client = new OrdersClient(echo.port, withClientTracing());

    await expect(client.callAsync(NOTHING, "one order")).rejects.toMatchObject({ code: 12 });

    expect(await onlySpanEnd(spans)).toEqual(failed("UNIMPLEMENTED"));
    expect(spans.ended[0]).toMatchObject({
      status: { message: "No message received" },
      attributes: { "network.peer.port": echo.port },
    });
  });

  test("when an interceptor after ours throws, and the caller gets the same error", async () => {
    using spans = recordSpans();
    const refused = new RangeError("out of stock");
    const throwing: Interceptor = (options, nextCall) =>
      new InterceptingCall(nextCall(options), {
        start() {
          throw refused;
        },
      });
    await using echo = await echoServer();
    const options = withClientTracing({ interceptors: [throwing] });
    using client = new OrdersClient(echo.port, options);

    await expect(client.placeAsync("one order")).rejects.toBe(refused);

    expect(spans.open).toEqual([]);
    expect(spans.ended.map(({ status: { code } }) => code)).toEqual(["ERROR"]);
  });

  test("or never starts, on a client that is closed", async () => {
    using spans = recordSpans();
    await using echo = await echoServer();
    const client = new OrdersClient(echo.port, withClientTracing());
    client.close();

    await expect(client.placeAsync("one order")).rejects.toThrow("Channel has been shut down");

    expect([...spans.open, ...spans.ended]).toEqual([]);
  });
});
