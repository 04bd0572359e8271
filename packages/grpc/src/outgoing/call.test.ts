import { once } from "node:events";
import { createServer } from "node:net";
import {
  type CallOptions,
  InterceptingCall,
  type Interceptor,
  Metadata,
  status,
} from "@grpc/grpc-js";
import { context, trace } from "@opentelemetry/api";
import { type RecordedSpans, recordSpans } from "@traceferry/testkit/record";
import { describe, expect, test, vi } from "vitest";
import {
  barePeer,
  loopback,
  NOTHING,
  OrdersClient,
  type OrdersHandlers,
  signal,
} from "../loopback.test.driver.js";
import { withClientTracing } from "../outgoing.js";

const activeSpanId = () => trace.getSpanContext(context.active())?.spanId;

const callTo = (handlers: Partial<OrdersHandlers>) => loopback(handlers, {}, withClientTracing());

/** The end of the only span: how it went, and that nothing touched it later. */
async function ending(spans: RecordedSpans) {
  await vi.waitFor(() => expect(spans.ended).toHaveLength(1), 4000);
  expect(spans.open).toEqual([]);
  expect(spans.warnings).toEqual([]);
  const [span] = spans.ended;
  return [span?.attributes["rpc.status_code"], span?.status.code, span?.attributes["error.type"]];
}

const OK = ["OK", "UNSET", undefined];
const failed = (name: string) => [name, "ERROR", name];

describe("the caller's context is active", () => {
  test("in the callback of each of many calls that wait for one connection", async () => {
    using spans = recordSpans();
    using shop = await callTo({ place: (call, answer) => answer(null, call.request) });

    const calls = Array.from({ length: 10 }, (_, number) => {
      const caller = spans.tracer().startSpan(`caller ${number}`);
      return context.with(trace.setSpan(context.active(), caller), async () => {
        const seen = await new Promise((resolve) => {
          const call = shop.client.place("one", new Metadata(), {}, () => {
            const callback = activeSpanId();
            call.on("status", () => resolve([callback, activeSpanId()]));
          });
        });
        return { seen, spanId: caller.spanContext().spanId };
      });
    });

    for (const { seen, spanId } of await Promise.all(calls)) expect(seen).toEqual([spanId, spanId]);
  });

  test("in every event of a second stream that waits for the first one's connection", async () => {
    using spans = recordSpans();
    using shop = await callTo({
      chat(call) {
        call.on("data", (text: string) => call.write(text));
        call.on("end", () => call.emit("error", { code: status.ABORTED, details: "enough" }));
      },
    });
    const talk = async (name: string) => {
      const caller = spans.tracer().startSpan(name);
      const seen: Record<string, string | undefined> = {};
      await context.with(trace.setSpan(context.active(), caller), async () => {
        const stream = shop.client.chat();
        for (const event of ["metadata", "data", "end", "error"]) {
          stream.once(event, () => {
            seen[event] = activeSpanId();
          });
        }
        stream.end("hello");
        await new Promise<void>((resolve) => {
          stream.once("status", () => {
            seen.status = activeSpanId();
            resolve();
          });
        });
      });
      return { seen, spanId: caller.spanContext().spanId };
    };

    const talks = await Promise.all([talk("first"), talk("second")]);

    for (const { seen, spanId } of talks) {
      const { end, ...events } = seen;
      expect(events).toEqual({ metadata: spanId, data: spanId, error: spanId, status: spanId });
      expect([spanId, undefined]).toContain(end);
    }
  });

  test("in its loop over a stream of answers", async () => {
    using spans = recordSpans();
    using shop = await callTo({
      list(call) {
        call.write("one");
        call.write("two");
        call.end();
      },
    });
    const caller = spans.tracer().startSpan("caller");
    const seen: (string | undefined)[] = [];

    await context.with(trace.setSpan(context.active(), caller), async () => {
      for await (const _ of shop.client.list("all")) seen.push(activeSpanId());
    });

    const { spanId } = caller.spanContext();
    expect(seen).toEqual([spanId, spanId]);
    expect(spans.named("shop.v1.Orders/List").parentSpanId).toBe(spanId);
  });
});

describe("the span of a call ends once", () => {
  test("well, for each kind of call", async () => {
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

    await shop.client.placed("one order");
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

  test("as an error with every status but OK, and says what it was", async () => {
    using spans = recordSpans();
    using shop = await callTo({
      place: (_call, answer) => answer({ code: status.NOT_FOUND, details: "no such order" }),
    });

    await expect(shop.client.placed("one order")).rejects.toMatchObject({ code: 5 });

    expect(await ending(spans)).toEqual(failed("NOT_FOUND"));
    expect(spans.ended[0]?.status.message).toBe("no such order");
  });

  test("before the caller hears of it", async () => {
    using spans = recordSpans();
    using shop = await callTo({ place: (_call, answer) => answer(null, "done") });

    const open = await new Promise((resolve) => {
      shop.client.place("one order", new Metadata(), {}, () => resolve([...spans.open]));
    });

    expect(open).toEqual([]);
  });

  test.each([
    ["at its deadline", 30],
    ["when its deadline was over before it began", -1000],
  ])("%s", async (_, inMs) => {
    using spans = recordSpans();
    using shop = await callTo({ place: () => undefined });
    const options: CallOptions = { deadline: Date.now() + inMs };

    await expect(shop.client.placed("one", new Metadata(), options)).rejects.toMatchObject({
      code: 4,
    });

    expect(await ending(spans)).toEqual(failed("DEADLINE_EXCEEDED"));
  });

  test("when it is cancelled", async () => {
    using spans = recordSpans();
    using shop = await callTo({ place: () => call.cancel() });

    const call = shop.client.place("one order", new Metadata(), {}, () => undefined);

    expect(await ending(spans)).toEqual(failed("CANCELLED"));
  });

  test("when nobody listens at the address", async () => {
    using spans = recordSpans();
    const gone = createServer().listen(0, "127.0.0.1");
    await once(gone, "listening");
    const address = gone.address();
    gone.close();
    await once(gone, "close");
    const port = typeof address === "object" ? (address?.port ?? 0) : 0;
    using client = new OrdersClient(port, withClientTracing());

    await expect(client.placed("one order")).rejects.toMatchObject({ code: 14 });

    expect(await ending(spans)).toEqual(failed("UNAVAILABLE"));
    expect(spans.ended[0]?.attributes["network.peer.address"]).toBeUndefined();
  });

  test("as its caller hears it, when an answer is missing", async () => {
    using spans = recordSpans();
    await using peer = await barePeer();
    using client = new OrdersClient(peer.port, withClientTracing());

    await expect(client.called(NOTHING, "one order")).rejects.toMatchObject({ code: 12 });

    expect(await ending(spans)).toEqual(failed("UNIMPLEMENTED"));
  });

  test("when the stream of answers is left by break", async () => {
    using spans = recordSpans();
    using shop = await callTo({ list: (call) => call.write("one") });

    for await (const _ of shop.client.list("all").on("error", ignore)) break;

    expect(await ending(spans)).toEqual(failed("CANCELLED"));
  });

  test("when a stream in both directions is left by break", async () => {
    using spans = recordSpans();
    using shop = await callTo({ chat: (call) => call.write("one") });

    for await (const _ of shop.client.chat().on("error", ignore)) break;

    expect(await ending(spans)).toEqual(failed("CANCELLED"));
  });

  test("when a stream that nobody reads is destroyed", async () => {
    using spans = recordSpans();
    const served = signal();
    using shop = await callTo({
      list(call) {
        call.write("one");
        call.end();
        served.give();
      },
    });

    const stream = shop.client.list("all").on("error", ignore);
    await served.given;
    stream.destroy();

    expect(await ending(spans)).toEqual(failed("CANCELLED"));
  });

  test("when a stream of requests is destroyed half-way", async () => {
    using spans = recordSpans();
    using shop = await callTo({ collect: () => undefined });

    const stream = shop.client.collect(() => undefined);
    stream.write("one");
    stream.destroy();

    expect(await ending(spans)).toEqual(failed("CANCELLED"));
  });

  test("when the answer to a stream of requests comes, long after the last request", async () => {
    using spans = recordSpans();
    const closed = signal();
    using shop = await callTo({
      async collect(call, answer) {
        for await (const _ of call);
        await closed.given;
        // Whatever the client makes of its closed stream, it has made it now.
        await new Promise(setImmediate);
        await new Promise(setImmediate);
        answer(null, "done");
      },
    });

    const answered = new Promise((resolve) => {
      const stream = shop.client.collect((_error, text) => resolve(text));
      stream.once("close", closed.give);
      stream.end("one");
    });

    expect(await answered).toBe("done");
    expect(await ending(spans)).toEqual(OK);
  });

  test("when an interceptor behind ours throws, and the caller gets just that", async () => {
    using spans = recordSpans();
    const refused = new RangeError("out of stock");
    const throwing: Interceptor = (options, nextCall) =>
      new InterceptingCall(nextCall(options), {
        start() {
          throw refused;
        },
      });
    await using peer = await barePeer();
    const options = withClientTracing({ interceptors: [throwing] });
    using client = new OrdersClient(peer.port, options);

    await expect(client.placed("one order")).rejects.toBe(refused);

    await vi.waitFor(() => expect(spans.open).toEqual([]));
    expect(spans.ended.map(({ status: { code } }) => code)).toEqual(["ERROR"]);
  });

  test("or never begins, on a client that is closed", async () => {
    using spans = recordSpans();
    await using peer = await barePeer();
    const client = new OrdersClient(peer.port, withClientTracing());
    client.close();

    await expect(client.placed("one order")).rejects.toThrow("Channel has been shut down");

    expect([...spans.open, ...spans.ended]).toEqual([]);
  });
});

test("three hundred streams that are left by break leave no span open", async () => {
  using spans = recordSpans();
  using shop = await callTo({ list: (call) => call.write("one") });
  const one = async () => {
    const stream = shop.client.list("all").on("error", ignore);
    for await (const _ of stream) break;
    stream.cancel();
  };

  for (let round = 0; round < 10; round++) await Promise.all(Array.from({ length: 30 }, one));

  await vi.waitFor(() => expect(spans.open).toEqual([]), 4000);
  expect(spans.ended).toHaveLength(300);
});

// A stream that was let go may hear of an error when its connection is closed.
function ignore(): void {}
