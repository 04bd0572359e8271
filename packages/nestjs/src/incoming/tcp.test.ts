import { createConnection } from "node:net";
import { Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { ClientTCP, Transport } from "@nestjs/microservices";
import { context, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { sender } from "@traceferry/testkit";
import { firstValueFrom } from "rxjs";
import { expect, test, vi } from "vitest";
import { injectPacket } from "../carrier/index.js";
import { TracingModule } from "../module.js";
import { spanIdAt, startRecording, waitForEnded } from "../recording.test-support.js";
import { TracingInterceptor } from "./interceptor.js";
import { Orders } from "./kafka.test-support.js";

async function startTcp(
  tracedBy: "module" | "interceptor" = "module",
): Promise<{ client: ClientTCP; port: number } & AsyncDisposable> {
  const imports = tracedBy === "module" ? [TracingModule.forRoot()] : [];
  @Module({ imports, controllers: [Orders] })
  class App {}
  const options = { host: "127.0.0.1", port: 0 };
  const app = await NestFactory.createMicroservice(App, {
    transport: Transport.TCP,
    options,
    logger: false,
  });
  if (tracedBy === "interceptor") app.useGlobalInterceptors(new TracingInterceptor());
  await app.listen();
  const server = app.unwrap<{ address(): { port: number } }>();
  const { port } = server.address();
  const client = new ClientTCP({ host: "127.0.0.1", port });
  client.setOnDispatchHook((packet) => {
    const { metadata } = injectPacket(packet);
    if (metadata !== undefined) packet.metadata = metadata;
  });
  return {
    client,
    port,
    async [Symbol.asyncDispose]() {
      client.close();
      await app.close();
    },
  };
}

test("a packet that injectPacket made carries its trace over TCP", async () => {
  using spans = startRecording();
  await using app = await startTcp();
  const caller = spans.tracer().startSpan("checkout");
  const active = trace.setSpan(ROOT_CONTEXT, caller);

  const read = await context.with(active, () => firstValueFrom(app.client.send("relayed", "x")));
  caller.end();

  await vi.waitFor(() => expect(spans.ended).toHaveLength(2));
  const span = spans.named("relayed");
  const { traceId, spanId } = caller.spanContext();
  expect(span).toMatchObject({ kind: "SERVER", traceId, parentSpanId: spanId, links: [] });
  expect(span.attributes).toMatchObject({
    "rpc.system.name": "nestjs_tcp",
    "rpc.method": "relayed",
  });
  expect(read).toBe(spanId);
});

test("an event over TCP is a CONSUMER span that links its sender", async () => {
  using spans = startRecording();
  await using app = await startTcp();
  const caller = spans.tracer().startSpan("checkout");

  const active = trace.setSpan(ROOT_CONTEXT, caller);
  context.with(active, () => app.client.emit("orders", "two shirts"));
  caller.end();

  await vi.waitFor(() => expect(spans.ended).toHaveLength(2));
  const { traceId, spanId } = caller.spanContext();
  expect(spans.named("process orders")).toMatchObject({
    kind: "CONSUMER",
    parentSpanId: spanId,
    links: [{ traceId, spanId }],
  });
});

test("the interceptor alone, which does not know the server, makes a SERVER span for a request", async () => {
  using spans = startRecording();
  await using app = await startTcp("interceptor");

  await firstValueFrom(app.client.send("relayed", "x"));

  const { name, kind, spanId } = await waitForEnded(spans);
  expect([name, kind]).toEqual(["relayed", "SERVER"]);
  expect(spanIdAt("handler")).toBe(spanId);
});

test("a packet that another language wrote, byte by byte, continues its trace", async () => {
  using spans = startRecording();
  await using app = await startTcp();
  const from = sender();
  const packet = {
    pattern: "orders",
    data: "zwei Röcke",
    metadata: Object.fromEntries(from.headers),
  };
  const body = JSON.stringify(packet);

  const socket = createConnection(app.port, "127.0.0.1");
  // The length is in UTF-16 code units, as `length` in JavaScript and Java.
  socket.end(`${body.length}#${body}`);

  expect(await waitForEnded(spans)).toMatchObject({
    name: "process orders",
    parentSpanId: from.spanId,
  });
});

test.each([
  ["null", null],
  ["a text", "traceparent"],
  ["a list", ["traceparent"]],
  ["a number", 7],
  ["an object where a text should be", { traceparent: { a: 1 } }],
  ["two spellings", { traceparent: sender().traceparent, TraceParent: sender().traceparent }],
  ["64 KB", { traceparent: "0".repeat(65_536) }],
])("metadata that is %s is ignored, and the handler runs", async (_what, metadata) => {
  using spans = startRecording();
  await using app = await startTcp();
  app.client.setOnDispatchHook((packet) => Object.assign(packet, { metadata }));

  expect(await firstValueFrom(app.client.send("relayed", "x"))).toBe("none");

  expect((await waitForEnded(spans)).parentSpanId).toBeUndefined();
});
