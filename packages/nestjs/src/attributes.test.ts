import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { ExpressAdapter } from "@nestjs/platform-express";
import { FastifyAdapter } from "@nestjs/platform-fastify";
import { SpanKind } from "@opentelemetry/api";
import type { RecordedSpan } from "@traceferry/testkit/record";
import { expect, test } from "vitest";
import { identifiesMessage } from "./attributes.js";
import { startHttp } from "./incoming/http.test-support.js";
import { startRecording, waitForEnded } from "./recording.test-support.js";

/** Returns the span of a request that is written byte by byte, because HTTP clients would correct it. */
async function spanOf(...lines: string[]): Promise<RecordedSpan> {
  using spans = startRecording();
  await using app = await startHttp(new ExpressAdapter());
  const socket = connect(Number(new URL(app.url).port), "127.0.0.1");
  socket.end([...lines, "Connection: close", "", ""].join("\r\n"));
  await once(socket.resume(), "close");
  return waitForEnded(spans);
}

test.each([
  ["shop.example", "shop.example", undefined],
  ["shop.example:8080", "shop.example", 8080],
  ["[::1]", "[::1]", undefined],
  ["[::1]:8080", "[::1]", 8080],
  ["shop.example:http", "shop.example", undefined],
  ["shop.example:0", "shop.example", undefined],
  ["", undefined, undefined],
  ["s".repeat(255), "s".repeat(255), undefined],
  ["s".repeat(256), undefined, undefined],
])("the server's address and port come from the Host %s", async (host, address, port) => {
  const { attributes } = await spanOf("GET /orders/7 HTTP/1.1", `Host: ${host}`);

  expect(attributes["server.address"]).toBe(address);
  expect(attributes["server.port"]).toBe(port);
});

test("over HTTP/2 the server's address and port come from the authority", async () => {
  using spans = startRecording();
  await using app = await startHttp(new FastifyAdapter({ http2: true }));
  const session = connectHttp2(app.url);

  const stream = session.request({ ":path": "/orders/7", ":authority": "shop.example:8080" });
  await once(stream.resume(), "close");

  expect((await waitForEnded(spans)).attributes).toMatchObject({
    "server.address": "shop.example",
    "server.port": 8080,
    "http.response.status_code": 200,
  });
  session.close();
});

test("a method that the conventions do not know stays out of the span's name", async () => {
  const { name, attributes } = await spanOf("PURGE /orders/7/purged HTTP/1.1", "Host: shop");

  expect(name).toBe("HTTP /orders/:id/purged");
  expect(attributes).toMatchObject({
    "http.request.method": "_OTHER",
    "http.request.method_original": "PURGE",
  });
});

test("a request with a known method and no User-Agent has neither original method nor user agent", async () => {
  const { name, attributes } = await spanOf("GET /nowhere HTTP/1.1", "Host: shop");

  expect(name).toBe("GET");
  expect(attributes["http.request.method"]).toBe("GET");
  expect(Object.keys(attributes)).not.toContain("http.request.method_original");
  expect(Object.keys(attributes)).not.toContain("user_agent.original");
});

test("the User-Agent is recorded", async () => {
  const { attributes } = await spanOf(
    "GET /nowhere HTTP/1.1",
    "Host: shop",
    "User-Agent: checkout/1",
  );

  expect(attributes["user_agent.original"]).toBe("checkout/1");
});

test("a method that the conventions do not know is HTTP where no route takes it", async () => {
  expect((await spanOf("PURGE /nowhere HTTP/1.1", "Host: shop")).name).toBe("HTTP");
});

test("a span for the same destination is not the message's own where no offset tells messages apart", () => {
  using spans = startRecording();
  const attributes = { "messaging.system.name": "nats", "messaging.destination.name": "orders" };
  const spanStart = { name: "process orders", kind: SpanKind.CONSUMER, attributes };

  const span = spans.tracer("nats").startSpan(spanStart.name, spanStart);

  expect(identifiesMessage(span, spanStart)).toBe(false);
  span.end();
});
