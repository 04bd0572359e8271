import { InterceptingCall, type Interceptor } from "@grpc/grpc-js";
import { context, trace } from "@opentelemetry/api";
import { w3cPropagator } from "@traceferry/core";
import { recordSpans } from "@traceferry/testkit/record";
import { describe, expect, test } from "vitest";
import { echoServer, headersIn } from "../echo-server.test-support.js";
import { loopback, OrdersClient } from "../loopback.test-support.js";
import { withClientTracing } from "./index.js";

describe("a call that is ignored", () => {
  const ignore = () => true;

  test("has no span, and carries the active one", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    await using echo = await echoServer();
    using client = new OrdersClient(echo.port, withClientTracing({}, { ignore }));
    const caller = spans.tracer().startSpan("caller");

    const headers = await context.with(trace.setSpan(context.active(), caller), () =>
      client.placeAsync("one order"),
    );

    const { traceId, spanId } = caller.spanContext();
    expect(headersIn(headers)).toEqual([["traceparent", `00-${traceId}-${spanId}-01`]]);
    expect(spans.ended).toEqual([]);
  });

  test("carries nothing where no span is active, which is not reported", async () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    await using echo = await echoServer();
    using client = new OrdersClient(echo.port, withClientTracing({}, { ignore }));

    const headers = await client.placeAsync("one order");

    expect(headersIn(headers)).toEqual([]);
    expect(spans.warnings).toEqual([]);
  });

  test("fails with the same error that an interceptor after ours throws", async () => {
    using _ = recordSpans();
    const refused = new RangeError("out of stock");
    const throwing: Interceptor = (options, nextCall) =>
      new InterceptingCall(nextCall(options), {
        start() {
          throw refused;
        },
      });
    await using echo = await echoServer();
    const options = withClientTracing({ interceptors: [throwing] }, { ignore });
    using client = new OrdersClient(echo.port, options);

    await expect(client.placeAsync("one order")).rejects.toBe(refused);
  });

  test("may be abandoned by break", async () => {
    using spans = recordSpans();
    using shop = await loopback(
      { list: (call) => call.write("one") },
      {},
      withClientTracing({}, { ignore }),
    );
    const uncaught: unknown[] = [];
    const note = (error: unknown) => uncaught.push(error);
    process.on("uncaughtExceptionMonitor", note);

    for await (const _ of shop.client.list("all").on("error", () => undefined)) break;
    // Two turns later, everything that follows the close of the stream has run.
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    process.off("uncaughtExceptionMonitor", note);

    expect(uncaught).toEqual([]);
    expect([...spans.open, ...spans.ended]).toEqual([]);
  });
});
