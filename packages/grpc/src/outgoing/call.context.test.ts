import { Metadata, status } from "@grpc/grpc-js";
import { context, trace } from "@opentelemetry/api";
import { recordSpans } from "@traceferry/testkit/record";
import { describe, expect, test } from "vitest";
import { loopback, type OrdersHandlers } from "../loopback.test-support.js";
import { withClientTracing } from "./index.js";

const activeSpanId = () => trace.getSpanContext(context.active())?.spanId;

const callTo = (handlers: Partial<OrdersHandlers>) => loopback(handlers, {}, withClientTracing());

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
