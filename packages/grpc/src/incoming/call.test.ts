import {
  type CallOptions,
  Metadata,
  ServerInterceptingCall,
  type ServerInterceptor,
  type ServerOptions,
  status,
} from "@grpc/grpc-js";
import { context, trace } from "@opentelemetry/api";
import { w3cPropagator } from "@traceferry/core";
import { sender } from "@traceferry/testkit/contract";
import { type RecordedSpans, recordSpans } from "@traceferry/testkit/record";
import { describe, expect, test, vi } from "vitest";
import { withServerTracing } from "../incoming.js";
import { loopback, metadataOf, type OrdersHandlers, signal } from "../loopback.test.driver.js";

const activeSpanId = () => trace.getSpanContext(context.active())?.spanId;

/** Ends when this many spans have ended; says which have not. */
async function ended(spans: RecordedSpans, count: number): Promise<void> {
  await vi.waitFor(() => {
    expect({ open: spans.open, ended: spans.ended.length }).toEqual({ open: [], ended: count });
  }, 4000);
}

/** The end of the only span: how it went, and that nothing touched it later. */
async function ending(spans: RecordedSpans) {
  await ended(spans, 1);
  expect(spans.warnings).toEqual([]);
  const [span] = spans.ended;
  return [span?.attributes["rpc.status_code"], span?.status.code, span?.attributes["error.type"]];
}

const serve = (handlers: Partial<OrdersHandlers>, options: ServerOptions = {}) =>
  loopback(handlers, withServerTracing(options));

describe("the handler's context is active", () => {
  test("in all that a unary handler does, and when its client cancels", async () => {
    using spans = recordSpans();
    const seen: Record<string, string | undefined> = {};
    const cancelled = signal();
    using shop = await serve({
      async place(call) {
        seen.handler = activeSpanId();
        call.on("cancelled", () => {
          seen.cancelled = activeSpanId();
          cancelled.give();
        });
        await null;
        seen.awaited = activeSpanId();
        answering.cancel();
      },
    });

    const answering = shop.client.place("one order", new Metadata(), {}, () => undefined);
    await cancelled.given;

    const { spanId } = spans.named("shop.v1.Orders/Place");
    expect(seen).toEqual({ handler: spanId, awaited: spanId, cancelled: spanId });
  });

  test("in all that a server-stream handler does", async () => {
    using spans = recordSpans();
    const seen: Record<string, string | undefined> = {};
    using shop = await serve({
      list(call) {
        seen.handler = activeSpanId();
        call.on("finish", () => {
          seen.finish = activeSpanId();
        });
        call.write("one", () => {
          seen.written = activeSpanId();
          call.end();
        });
      },
    });

    const received = await shop.client.list("all").toArray();

    const { spanId } = spans.named("shop.v1.Orders/List");
    expect(received).toEqual(["one"]);
    expect(seen).toEqual({ handler: spanId, written: spanId, finish: spanId });
  });

  test("for each message of a client stream, and at its end", async () => {
    using spans = recordSpans();
    const seen: (string | undefined)[] = [];
    using shop = await serve({
      collect(call, answer) {
        seen.push(activeSpanId());
        call.on("data", () => seen.push(activeSpanId()));
        call.on("end", () => {
          seen.push(activeSpanId());
          answer(null, "done");
        });
      },
    });

    await new Promise((resolve) => {
      const stream = shop.client.collect(resolve);
      stream.write("one");
      stream.write("two");
      stream.end();
    });

    const { spanId } = spans.named("shop.v1.Orders/Collect");
    expect(seen).toEqual(Array(4).fill(spanId));
  });

  test("in a loop over a stream in both directions", async () => {
    using spans = recordSpans();
    const seen: (string | undefined)[] = [];
    using shop = await serve({
      async chat(call) {
        for await (const text of call) {
          seen.push(activeSpanId());
          call.write(String(text).toUpperCase());
        }
        seen.push(activeSpanId());
        call.end();
      },
    });

    const stream = shop.client.chat();
    stream.write("one");
    stream.write("two");
    stream.end();
    const received = await stream.toArray();

    const { spanId } = spans.named("shop.v1.Orders/Chat");
    expect(received).toEqual(["ONE", "TWO"]);
    expect(seen).toEqual(Array(3).fill(spanId));
  });

  test("also where the server was bound inside a span: a call without a sender is a root", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    const starting = spans.tracer().startSpan("starting up");
    using shop = await context.with(trace.setSpan(context.active(), starting), () =>
      serve({ place: (_call, answer) => answer(null, String(activeSpanId())) }),
    );
    starting.end();

    const seen = await shop.client.placed("one order");

    const { spanId, parentSpanId } = spans.named("shop.v1.Orders/Place");
    expect(parentSpanId).toBeUndefined();
    expect(seen).toBe(spanId);
  });
});

describe("the span of a call ends once", () => {
  test("as unset, with a status that is the client's fault", async () => {
    using spans = recordSpans();
    using shop = await serve({
      place: (_call, answer) => answer({ code: status.NOT_FOUND, details: "no such order" }),
    });

    await expect(shop.client.placed("one order")).rejects.toMatchObject({ code: 5 });

    expect(await ending(spans)).toEqual(["NOT_FOUND", "UNSET", undefined]);
  });

  test("as an error, with a status that is the server's fault, and says what it was", async () => {
    using spans = recordSpans();
    using shop = await serve({
      place: (_call, answer) => answer({ code: status.UNAVAILABLE, details: "closing time" }),
    });

    await expect(shop.client.placed("one order")).rejects.toMatchObject({ code: 14 });

    expect(await ending(spans)).toEqual(["UNAVAILABLE", "ERROR", "UNAVAILABLE"]);
    expect(spans.ended[0]?.status.message).toBe("closing time");
  });

  test("as an error, when a handler throws at once", async () => {
    using spans = recordSpans();
    using shop = await serve({
      place() {
        throw new RangeError("out of stock");
      },
    });

    await expect(shop.client.placed("one order")).rejects.toMatchObject({ code: 2 });

    expect(await ending(spans)).toEqual(["UNKNOWN", "ERROR", "UNKNOWN"]);
  });

  test("when a handler of a stream emits an error", async () => {
    using spans = recordSpans();
    using shop = await serve({
      list: (call) => {
        call.emit("error", { code: status.DATA_LOSS, details: "half of it is gone" });
      },
    });

    await expect(shop.client.list("all").toArray()).rejects.toMatchObject({ code: 15 });

    expect(await ending(spans)).toEqual(["DATA_LOSS", "ERROR", "DATA_LOSS"]);
  });

  test("at the deadline, when the server's own timer is first", async () => {
    using spans = recordSpans();
    using shop = await serve({ place: () => undefined });
    // A client that tells its deadline and does not keep it.
    const metadata = metadataOf([["grpc-timeout", "40m"]]);

    await expect(shop.client.placed("one order", metadata)).rejects.toMatchObject({ code: 4 });

    expect(await ending(spans)).toEqual(["DEADLINE_EXCEEDED", "ERROR", "DEADLINE_EXCEEDED"]);
  });

  test("at the deadline, when the client's reset is a little sooner", async () => {
    using spans = recordSpans();
    const nearly: ServerInterceptor = (_definition, wire) =>
      new (class extends ServerInterceptingCall {
        override getDeadline(): number {
          return Date.now() + 30;
        }
      })(wire);
    const { interceptors = [] } = withServerTracing();
    using shop = await loopback(
      { place: () => answering.cancel() },
      { interceptors: [nearly, ...interceptors] },
    );

    const answering = shop.client.place("one order", new Metadata(), {}, () => undefined);

    expect(await ending(spans)).toEqual(["DEADLINE_EXCEEDED", "ERROR", "DEADLINE_EXCEEDED"]);
  });

  test("whoever is first at the deadline, a hundred times", async () => {
    using spans = recordSpans();
    let reached = 0;
    using shop = await serve({
      place() {
        reached++;
      },
    });

    const calls = Array.from({ length: 100 }, (_, number) =>
      shop.client.placed("one order", new Metadata(), { deadline: Date.now() + 60 + number }),
    );
    await Promise.allSettled(calls);

    // On a busy machine a deadline may pass before its call has left.
    await vi.waitFor(() => expect(spans.ended.length).toBeGreaterThanOrEqual(reached), 4000);
    await vi.waitFor(() => expect(spans.open).toEqual([]), 4000);
    expect(spans.warnings).toEqual([]);
    expect(new Set(spans.ended.map(({ spanId }) => spanId)).size).toBe(spans.ended.length);
  });

  test("as cancelled, when the client cancels before a far deadline", async () => {
    using spans = recordSpans();
    using shop = await serve({ place: () => answering.cancel() });
    const options: CallOptions = { deadline: Date.now() + 60_000 };

    const answering = shop.client.place("one order", new Metadata(), options, () => undefined);

    expect(await ending(spans)).toEqual(["CANCELLED", "UNSET", undefined]);
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
    stream.once("error", ok).once("data", () => stream.cancel());

    expect(await ending(spans)).toEqual(["CANCELLED", "UNSET", undefined]);
  });

  test("as cancelled, when the client leaves a stream in both directions", async () => {
    using spans = recordSpans();
    using shop = await serve({ chat: (call) => call.write("hello") });

    const stream = shop.client.chat();
    stream.once("error", ok).once("data", () => stream.cancel());

    const [code] = await ending(spans);
    expect(code).toBe("CANCELLED");
  });

  test("as it ended first, when the handler answers after that", async () => {
    using spans = recordSpans();
    const late = signal();
    using shop = await serve({
      place(call, answer) {
        call.on("cancelled", () => {
          answer(null, "too late");
          late.give();
        });
        answering.cancel();
      },
    });

    const answering = shop.client.place("one order", new Metadata(), {}, () => undefined);
    await late.given;

    expect(await ending(spans)).toEqual(["CANCELLED", "UNSET", undefined]);
  });

  test("as it ended first, when the handler answers twice", async () => {
    using spans = recordSpans();
    using shop = await serve({
      place(_call, answer) {
        answer({ code: status.ABORTED, details: "" });
        answer({ code: status.INTERNAL, details: "" });
      },
    });

    await expect(shop.client.placed("one order")).rejects.toMatchObject({ code: 10 });

    expect(await ending(spans)).toEqual(["ABORTED", "UNSET", undefined]);
  });

  test("as an error, when the answer cannot be written", async () => {
    using spans = recordSpans();
    using shop = await serve(
      { place: (_call, answer) => answer(null, "far too long") },
      { "grpc.max_send_message_length": 3 },
    );

    await expect(shop.client.placed("one order")).rejects.toMatchObject({ code: 8 });

    expect(await ending(spans)).toEqual(["INTERNAL", "ERROR", "INTERNAL"]);
  });

  test("as cancelled, when the client leaves between the answer and its status", async () => {
    using spans = recordSpans();
    const slow: ServerInterceptor = (_definition, wire) =>
      new ServerInterceptingCall(wire, { sendStatus: () => answering.cancel() });
    using shop = await serve(
      { place: (_call, answer) => answer(null, "done") },
      { interceptors: [slow] },
    );

    const answering = shop.client.place("one order", new Metadata(), {}, () => undefined);

    expect(await ending(spans)).toEqual(["CANCELLED", "UNSET", undefined]);
  });

  test("when the server is shut down by force", async () => {
    using spans = recordSpans();
    using shop = await serve({ place: () => shop.server.forceShutdown() });

    await expect(shop.client.placed("one order")).rejects.toMatchObject({ code: 1 });

    expect(await ending(spans)).toEqual(["CANCELLED", "UNSET", undefined]);
  });

  test("as UNKNOWN, with a status that gRPC does not know", async () => {
    using spans = recordSpans();
    using shop = await serve({
      place: (_call, answer) => answer({ code: Number(99), details: "" }),
    });

    await expect(shop.client.placed("one order")).rejects.toBeDefined();

    expect(await ending(spans)).toEqual(["UNKNOWN", "ERROR", "UNKNOWN"]);
  });
});

test("three hundred streams that are cancelled leave no span open and no sender behind", async () => {
  using spans = recordSpans();
  using shop = await serve({ chat: (call) => call.write("hello") });
  const one = () =>
    new Promise<void>((resolve) => {
      const stream = shop.client.chat(metadataOf(sender().headers));
      stream.once("data", () => stream.cancel());
      stream.once("error", () => resolve());
    });

  for (let round = 0; round < 10; round++) await Promise.all(Array.from({ length: 30 }, one));

  await ended(spans, 300);
  expect(new Set(spans.ended.map(({ traceId }) => traceId)).size).toBe(300);
});

function ok(): void {}
