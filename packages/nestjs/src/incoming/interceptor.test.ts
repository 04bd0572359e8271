import { connect } from "node:net";
import { status } from "@grpc/grpc-js";
import { sender } from "@traceferry/testkit";
import { describe, expect, test, vi } from "vitest";
import { observed, spanIdAt, startRecording, waitForEnded } from "../recording.test-support.js";
import { startGrpc } from "./grpc.test-support.js";
import { platforms, startHttp } from "./http.test-support.js";
import { startKafka } from "./kafka.test-support.js";

describe.each(platforms)("over HTTP on %s", (_platform, adapter) => {
  test("the interceptor alone makes the span, behind the guards", async () => {
    using spans = startRecording();
    await using app = await startHttp(adapter(), {}, "interceptor");
    const from = sender();
    const headers = { traceparent: from.traceparent };

    const response = await fetch(`${app.url}/orders/7`, { headers });
    await response.json();
    const span = await waitForEnded(spans);
    await (await fetch(`${app.url}/orders/7/lines`, { headers })).json();
    const lines = await waitForEnded(spans, 2);
    await (await fetch(`${app.url}/orders/7/broken`, { headers })).json();
    const broken = await waitForEnded(spans, 3);

    expect(span).toMatchObject({
      name: "GET /orders/:id",
      kind: "SERVER",
      parentSpanId: from.spanId,
      attributes: { "http.route": "/orders/:id", "http.response.status_code": 200 },
    });
    expect(response.headers.get("x-trace-id")).toBe(from.traceId);
    expect(spanIdAt("guard")).toBeUndefined();
    expect(spanIdAt("handler after await")).toBe(span.spanId);
    expect(spanIdAt("returned observable")).toBe(lines.spanId);
    expect(broken.status.code).toBe("ERROR");
    expect(broken.events.map(({ attributes }) => attributes["exception.type"])).toEqual([
      "TypeError",
    ]);
  });

  test("module and interceptor together make one span, with one exception", async () => {
    using spans = startRecording();
    await using app = await startHttp(adapter(), {}, "both");

    await (await fetch(`${app.url}/orders/7/broken`)).json();

    expect((await waitForEnded(spans)).events).toHaveLength(1);
  });

  test("the interceptor makes no span for a caller who has disconnected, but the sender's context is active", async () => {
    using spans = startRecording();
    await using app = await startHttp(adapter(), {}, "interceptor");
    const from = sender();
    const socket = connect(Number(new URL(app.url).port), "127.0.0.1");
    socket.write("GET /orders/7/late HTTP/1.1\r\nHost: shop\r\n");
    socket.write(`traceparent: ${from.traceparent}\r\n\r\n`);
    await vi.waitFor(() => expect(observed.map(([step]) => step)).toContain("waiting guard"));

    socket.destroy();

    await vi.waitFor(() => expect(spanIdAt("late handler")).toBe(from.spanId));
    expect([...spans.open, ...spans.ended]).toEqual([]);
  });
});

describe("over Kafka", () => {
  test("the interceptor alone makes the span, behind the guards", async () => {
    using spans = startRecording();
    await using app = await startKafka({ imports: [], interceptor: true });
    const from = sender();

    await app.kafka.deliver("orders", "two shirts", from.headers);
    const span = await waitForEnded(spans);
    await app.kafka.deliver("streams", "broken", from.headers).catch(() => {});
    const failed = await waitForEnded(spans, 2);

    expect(span).toMatchObject({
      name: "process orders",
      kind: "CONSUMER",
      parentSpanId: from.spanId,
    });
    expect(observed).toEqual([
      ["guard", undefined],
      ["handler", span.spanId],
      ["handler after await", span.spanId],
      ["guard", undefined],
      ["returned observable", failed.spanId],
    ]);
    expect(failed).toMatchObject({
      status: { code: "ERROR" },
      attributes: { "error.type": "TypeError" },
    });
  });

  test("module and interceptor together make one span", async () => {
    using spans = startRecording();
    await using app = await startKafka({ interceptor: true });

    await expect(app.kafka.deliver("orders", "broken", sender().headers)).rejects.toBeDefined();

    expect((await waitForEnded(spans)).events).toHaveLength(1);
  });
});

describe("over gRPC", () => {
  test("the interceptor alone makes the span, and sees what the handler throws", async () => {
    using spans = startRecording();
    await using app = await startGrpc("interceptor");
    const from = sender();

    await app.call("two shirts", from);
    const span = await waitForEnded(spans);
    expect(span).toMatchObject({
      name: "shop.Orders/Place",
      kind: "SERVER",
      parentSpanId: from.spanId,
      attributes: { "rpc.status_code": "OK" },
    });
    expect(observed).toEqual([
      ["guard", undefined],
      ["handler", span.spanId],
      ["handler after await", span.spanId],
    ]);

    await expect(app.call("broken", from)).rejects.toMatchObject({ code: status.UNKNOWN });
    const failed = await waitForEnded(spans, 2);
    expect(failed.events.map(({ attributes }) => attributes["exception.type"])).toEqual([
      "TypeError",
    ]);
  });

  test("module and interceptor together make one span, with one exception", async () => {
    using spans = startRecording();
    await using app = await startGrpc("both");

    await expect(app.call("broken", sender())).rejects.toMatchObject({ code: status.UNKNOWN });

    const span = await waitForEnded(spans);
    expect(span.events).toHaveLength(1);
  });
});
