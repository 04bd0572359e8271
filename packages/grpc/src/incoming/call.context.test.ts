import { Metadata } from "@grpc/grpc-js";
import { context, trace } from "@opentelemetry/api";
import { w3cPropagator } from "@traceferry/core";
import { recordSpans } from "@traceferry/testkit/record";
import { describe, expect, test } from "vitest";
import { deferred, loopback, type OrdersHandlers } from "../loopback.test-support.js";
import { withServerTracing } from "./index.js";

const activeSpanId = () => trace.getSpanContext(context.active())?.spanId;

const serve = (handlers: Partial<OrdersHandlers>) => loopback(handlers, withServerTracing());

describe("the handler's context is active", () => {
  test("in all that a unary handler does, and when its client cancels", async () => {
    using spans = recordSpans();
    const seen: Record<string, string | undefined> = {};
    const cancelled = deferred();
    using shop = await serve({
      async place(call) {
        seen.handler = activeSpanId();
        call.on("cancelled", () => {
          seen.cancelled = activeSpanId();
          cancelled.resolve();
        });
        await null;
        seen.awaited = activeSpanId();
        clientCall.cancel();
      },
    });

    const clientCall = shop.client.place("one order", new Metadata(), {}, () => undefined);
    await cancelled.promise;

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

    const seen = await shop.client.placeAsync("one order");

    const { spanId, parentSpanId } = spans.named("shop.v1.Orders/Place");
    expect(parentSpanId).toBeUndefined();
    expect(seen).toBe(spanId);
  });
});
