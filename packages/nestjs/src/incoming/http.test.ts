import { once } from "node:events";
import type { RequestListener } from "node:http";
import { createServer } from "node:https";
import { connect } from "node:net";
import { connect as connectSecurely } from "node:tls";
import { ExpressAdapter } from "@nestjs/platform-express";
import { FastifyAdapter } from "@nestjs/platform-fastify";
import { sender } from "@traceferry/testkit";
import { describe, expect, test, vi } from "vitest";
import { observed, spanIdAt, startRecording, waitForEnded } from "../recording.test-support.js";
import { platforms, startHttp } from "./http.test-support.js";

describe.each(platforms)("on %s", (_platform, adapter) => {
  test("every step of a request runs in its sender's trace", async () => {
    using spans = startRecording();
    await using app = await startHttp(adapter());
    const from = sender();

    const response = await fetch(`${app.url}/orders/7?size=XL`, {
      headers: Object.fromEntries(from.headers),
    });

    expect(await response.json()).toEqual({ id: "7" });
    const span = await waitForEnded(spans);
    expect(span).toMatchObject({
      name: "GET /orders/:id",
      kind: "SERVER",
      traceId: from.traceId,
      parentSpanId: from.spanId,
      parentIsRemote: true,
      traceState: from.tracestate,
      status: { code: "UNSET" },
      links: [],
      attributes: {
        "http.request.method": "GET",
        "http.route": "/orders/:id",
        "http.response.status_code": 200,
        "url.path": "/orders/7",
        "url.scheme": "http",
        "server.address": "127.0.0.1",
        "server.port": Number(new URL(app.url).port),
      },
    });
    expect(Object.keys(span.attributes)).not.toContain("url.query");
    expect(Object.fromEntries(observed)).toEqual({
      middleware: span.spanId,
      guard: span.spanId,
      interceptor: span.spanId,
      handler: span.spanId,
      "handler after await": span.spanId,
      "operator after the handler": span.spanId,
    });
    expect(response.headers.get("x-trace-id")).toBe(from.traceId);
  });

  test("a returned observable and a request-scoped constructor are in the request's span", async () => {
    using spans = startRecording();
    await using app = await startHttp(adapter());

    await (await fetch(`${app.url}/orders/7/lines`)).json();
    const lines = await waitForEnded(spans, 1);
    await (await fetch(`${app.url}/scoped`)).json();
    const scoped = await waitForEnded(spans, 2);

    expect(spanIdAt("returned observable")).toBe(lines.spanId);
    expect(spanIdAt("request-scoped constructor")).toBe(scoped.spanId);
  });

  test("an exception filter is in the request's span, and its 4xx is no error", async () => {
    using spans = startRecording();
    await using app = await startHttp(adapter());

    const response = await fetch(`${app.url}/orders/7/refused`);

    expect(response.status).toBe(418);
    const span = await waitForEnded(spans);
    expect(spanIdAt("filter")).toBe(span.spanId);
    expect(span).toMatchObject({ status: { code: "UNSET" }, events: [] });
    expect(response.headers.get("x-trace-id")).toBe(span.traceId);
  });

  test.each([
    ["a bad request", "/orders/7/bad", 400, "GET /orders/:id/bad"],
    ["a guard's refusal", "/orders/7/forbidden", 403, "GET /orders/:id/forbidden"],
    ["an unknown path", "/nowhere", 404, "GET"],
  ])("%s leaves the status unset and names the trace", async (_what, path, status, name) => {
    using spans = startRecording();
    await using app = await startHttp(adapter());

    const response = await fetch(app.url + path);

    expect(response.status).toBe(status);
    const span = await waitForEnded(spans);
    expect(span).toMatchObject({
      name,
      status: { code: "UNSET" },
      events: [],
      attributes: { "http.response.status_code": status },
    });
    expect(Object.keys(span.attributes)).not.toContain("error.type");
    expect(response.headers.get("x-trace-id")).toBe(span.traceId);
  });

  test("malformed JSON has a span though no handler ever runs", async () => {
    using spans = startRecording();
    await using app = await startHttp(adapter());
    const from = sender();

    const response = await fetch(`${app.url}/orders`, {
      method: "POST",
      body: '{"size":',
      headers: { "content-type": "application/json", traceparent: from.traceparent },
    });

    expect(response.status).toBe(400);
    expect(await waitForEnded(spans)).toMatchObject({
      traceId: from.traceId,
      status: { code: "UNSET" },
      attributes: { "http.response.status_code": 400 },
    });
    expect(response.headers.get("x-trace-id")).toBe(from.traceId);
  });

  test.each([
    ["an unexpected exception", "/orders/7/broken", 500, "TypeError"],
    ["an HttpException of 503", "/orders/7/unavailable", 503, "HttpException"],
  ])("%s makes the span an error and records it", async (_what, path, status, type) => {
    using spans = startRecording();
    await using app = await startHttp(adapter());

    const response = await fetch(app.url + path);

    expect(response.status).toBe(status);
    const span = await waitForEnded(spans);
    expect(span.status.code).toBe("ERROR");
    expect(span.attributes["error.type"]).toBe(String(status));
    expect(span.events.map(({ attributes }) => attributes["exception.type"])).toEqual([type]);
    expect(response.headers.get("x-trace-id")).toBe(span.traceId);
  });

  test("a 503 that was not thrown makes the span an error without a description", async () => {
    using spans = startRecording();
    await using app = await startHttp(adapter());

    await fetch(`${app.url}/orders/7/closed`);

    const span = await waitForEnded(spans);
    expect(span.attributes["error.type"]).toBe("503");
    expect(span.status).toEqual({ code: "ERROR", message: "" });
    expect(span.events).toEqual([]);
  });

  test("a handler that fails in the middle of its response makes the span an error with status 200", async () => {
    using spans = startRecording();
    await using app = await startHttp(adapter());

    const answer = fetch(`${app.url}/orders/7/cut`).then((response) => response.text());
    await expect(answer).rejects.toThrow(TypeError);

    const span = await waitForEnded(spans);
    expect(span.attributes).toMatchObject({
      "http.response.status_code": 200,
      "error.type": "TypeError",
    });
    expect(span.status).toEqual({ code: "ERROR", message: "stock is undefined" });
  });

  test("a caller who disconnects before the response ends the span, without a status code", async () => {
    using spans = startRecording();
    await using app = await startHttp(adapter());
    const socket = connect(Number(new URL(app.url).port), "127.0.0.1");
    socket.write("GET /orders/7/slow HTTP/1.1\r\nHost: shop\r\n\r\n");
    await vi.waitFor(() => expect(observed.map(([step]) => step)).toContain("slow handler"));

    socket.destroy();

    const span = await waitForEnded(spans);
    expect(span.name).toBe("GET /orders/:id/slow");
    expect(Object.keys(span.attributes)).not.toContain("http.response.status_code");
  });

  test.each([
    ["in upper case", { traceparent: sender().traceparent.toUpperCase() }],
    ["of version ff", { traceparent: `ff${sender().traceparent.slice(2)}` }],
    ["sent twice", { traceparent: `${sender().traceparent}, ${sender().traceparent}` }],
    ["with a tracestate of 8 KiB", { traceparent: "x", tracestate: "a=b,".repeat(2000) }],
    ["with malformed baggage", { traceparent: "\u00e9", baggage: '{"a":[1]},,;=;%' }],
  ])("a traceparent %s is ignored, and the request answered", async (_what, headers) => {
    using spans = startRecording();
    await using app = await startHttp(adapter());

    const response = await fetch(`${app.url}/orders/7`, { headers });

    expect(response.status).toBe(200);
    const span = await waitForEnded(spans);
    expect(span.parentSpanId).toBeUndefined();
    expect(span.attributes["traceferry.extraction"]).toBe("invalid");
  });

  test("without an SDK a response is the same as without the module", async () => {
    const answer = async (by: "module" | "nobody") => {
      await using app = await startHttp(adapter(), {}, by);
      const response = await fetch(`${app.url}/orders/7`, {
        headers: Object.fromEntries(sender().headers),
      });
      const headers = [...response.headers].filter(([name]) => name !== "date");
      return { status: response.status, headers, body: await response.text() };
    };

    expect(await answer("module")).toEqual(await answer("nobody"));
  });

  test("twenty requests on few connections never see each other's context", async () => {
    using spans = startRecording();
    await using app = await startHttp(adapter());
    const senders = Array.from({ length: 20 }, () => sender());

    const traces = await Promise.all(
      senders.map(async (from) => {
        const response = await fetch(`${app.url}/orders/7`, {
          headers: { traceparent: from.traceparent },
        });
        await response.json();
        return response.headers.get("x-trace-id");
      }),
    );

    expect(traces).toEqual(senders.map(({ traceId }) => traceId));
    await waitForEnded(spans, 20);
  });
});

test("a request over TLS has the scheme https", async () => {
  using spans = startRecording();
  await using app = await startHttp(new ExpressAdapter());
  // A pre-shared key needs no certificate.
  const psk = Buffer.from("shop");
  const shared = { ciphers: "PSK", maxVersion: "TLSv1.2" } as const;
  const handler: RequestListener = app.app.getHttpAdapter().getInstance();
  const server = createServer({ ...shared, pskCallback: () => psk }, handler);
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();

  const socket = connectSecurely({
    ...shared,
    port: typeof address === "object" ? address?.port : undefined,
    pskCallback: () => ({ psk, identity: "checkout" }),
    checkServerIdentity: () => undefined,
  });
  socket.write("GET /orders/7 HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n");

  expect((await waitForEnded(spans)).attributes).toMatchObject({
    "url.scheme": "https",
    "url.path": "/orders/7",
  });
  socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

test("a request that Fastify gets by inject() has a span like any other", async () => {
  using spans = startRecording();
  const adapter = new FastifyAdapter();
  await using _ = await startHttp(adapter);

  const response = await adapter.inject({ url: "/orders/7" });

  expect(response.statusCode).toBe(200);
  expect((await waitForEnded(spans)).name).toBe("GET /orders/:id");
});
