import { once } from "node:events";
import { Agent, createServer, request as httpRequest, type RequestListener } from "node:http";
import { ServerInterceptingCall, type ServerInterceptor, status } from "@grpc/grpc-js";
import { BadGatewayException, Controller, Get, Module, Param } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { GrpcMethod, RpcException } from "@nestjs/microservices";
import { ExpressAdapter } from "@nestjs/platform-express";
import { context, SpanKind } from "@opentelemetry/api";
import {
  type Adapter,
  type AdapterOptions,
  adapterContract,
  type Harness,
  type SentMessage,
} from "@traceferry/contract";
import { Instrumenter, w3cPropagator, withSpan } from "@traceferry/core";
import { type Headers } from "@traceferry/testkit";
import { describe, test } from "vitest";
import type { Packet } from "./carrier/index.js";
import { TracingModule } from "./index.js";
import { CALL_SETTINGS } from "./options.js";
import {
  OrdersClient,
  ordersServiceOptions,
  type Text,
  toMetadata,
} from "./orders-service.test-support.js";
import { outgoingPacket } from "./outgoing.js";

// Messages come in through Nest. What goes out is a packet in a CLIENT span, as a client with tracing sends it.

type Patch = <Result>(next: () => Result) => Result;
type Handlers = ReadonlyMap<string, () => unknown>;

/** A Nest application with the adapter that receives messages. */
interface IncomingSide extends AsyncDisposable {
  deliver(id: string, headers: Headers): Promise<void>;
}

const patches = new WeakMap<Harness, { patch: Patch }>();

type Listen = (
  handlers: Handlers,
  options: AdapterOptions,
  patched: { readonly patch: Patch },
) => Promise<IncomingSide>;

async function openHarness(listen: Listen, options: AdapterOptions = {}): Promise<Harness> {
  const handlers = new Map<string, () => unknown>();
  const patched: { patch: Patch } = { patch: (next) => next() };
  const incoming = await listen(handlers, options, patched);
  const instrumenter = new Instrumenter(CALL_SETTINGS, options);
  let received = 0;
  let reached = 0;

  const transport = (packet: Packet) => {
    reached++;
    return asSent(packet);
  };

  async function send(packet: Packet, transport: (packet: Packet) => Promise<SentMessage>) {
    const parent = context.active();
    const activeSpan = instrumenter.startSpan({ name: "orders", kind: SpanKind.CLIENT, parent });
    return withSpan(activeSpan, () =>
      transport(outgoingPacket(packet, instrumenter, activeSpan.context)),
    );
  }

  const harness: Harness = {
    async receive(headers, handler) {
      const id = String(received++);
      handlers.set(id, handler);
      try {
        await incoming.deliver(id, headers);
      } finally {
        handlers.delete(id);
      }
    },
    message(headers, frozen = false) {
      const metadata = Object.fromEntries(headers);
      if (frozen) Object.freeze(metadata);
      const packet = { pattern: "orders", data: "two shirts", metadata };
      return frozen ? Object.freeze(packet) : packet;
    },
    snapshot: (message) => structuredClone(message),
    send: (message) => send(packetFrom(message), transport),
    sendUninstrumented: (message) => transport(packetFrom(message)),
    transportSends: () => reached,
    async sendFailing(message) {
      await send(packetFrom(message), () => Promise.reject(new Error("connection refused")));
    },
    [Symbol.asyncDispose]: () => incoming[Symbol.asyncDispose](),
  };
  patches.set(harness, patched);
  return harness;
}

function packetFrom(message: unknown): Packet {
  if (
    typeof message === "object" &&
    message !== null &&
    "pattern" in message &&
    "data" in message
  ) {
    return message;
  }
  throw new TypeError("not a message of this harness");
}

/** Returns the headers and body of the JSON that TCP sends for a packet. */
async function asSent(packet: Packet): Promise<SentMessage> {
  const { metadata, ...body }: Packet = JSON.parse(JSON.stringify(packet));
  return {
    headers: Object.entries(metadata ?? {}).map(([key, value]) => [key, String(value)]),
    body,
  };
}

/** Runs a handler and converts its TypeErrors to errors with a status that Nest does not choose by itself. */
async function runHandler(
  handler: (() => unknown) | undefined,
  handlerError: (error: TypeError) => Error,
): Promise<void> {
  try {
    await handler?.();
  } catch (error) {
    throw error instanceof TypeError ? handlerError(error) : error;
  }
}

const listenHttp: Listen = async (handlers, options, patched) => {
  @Controller("orders")
  class Orders {
    @Get(":id")
    async place(@Param("id") id: string): Promise<string> {
      await runHandler(handlers.get(id), ({ message }) => new BadGatewayException(message));
      return "done";
    }
  }
  @Module({ imports: [TracingModule.forRoot(options)], controllers: [Orders] })
  class App {}
  const app = await NestFactory.create(App, new ExpressAdapter(), { logger: false });
  await app.init();
  const express: RequestListener = app.getHttpAdapter().getInstance();
  // A span ends when its response closes, which is a little after the caller has received it.
  const closed = new Map<string, Promise<unknown>>();
  const server = createServer((request, response) => {
    patched.patch(() => express(request, response));
    closed.set(request.url ?? "", once(response, "close"));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new TypeError("no address");
  const { port } = address;
  const agent = new Agent({ keepAlive: true });

  return {
    async deliver(id, headers) {
      const path = `/orders/${id}`;
      const flat = ["Host", `127.0.0.1:${port}`, ...headers.flat()];
      const sent = httpRequest({ host: "127.0.0.1", port, path, agent, headers: flat }).end();
      const status = await new Promise<number>((resolve, reject) => {
        sent.once("error", reject);
        sent.once("response", (response) => {
          response.resume().once("end", () => resolve(response.statusCode ?? 0));
        });
      });
      await closed.get(path);
      closed.delete(path);
      if (status >= 400) throw new Error(`answered with ${status}`);
    },
    async [Symbol.asyncDispose]() {
      agent.destroy();
      await app.close();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};

const listenGrpc: Listen = async (handlers, options, patched) => {
  @Controller()
  class Orders {
    @GrpcMethod("Orders", "Place")
    async place({ text }: Text): Promise<Text> {
      const internal = ({ message }: Error) => new RpcException({ code: status.INTERNAL, message });
      await runHandler(handlers.get(text), internal);
      return { text: "done" };
    }
  }
  @Module({ imports: [TracingModule.forRoot(options)], controllers: [Orders] })
  class App {}
  let openCalls = 0;
  let idle: (() => void)[] = [];
  const { options: serviceOptions, port } = ordersServiceOptions([
    patchedInterceptor(patched, () => {
      openCalls--;
      if (openCalls > 0) return;
      for (const resolve of idle) resolve();
      idle = [];
    }),
  ]);
  const app = await NestFactory.createMicroservice(App, { ...serviceOptions, logger: false });
  await app.listen();
  const client = new OrdersClient(await port);

  return {
    async deliver(id, headers) {
      openCalls++;
      const over = new Promise<void>((resolve) => idle.push(resolve));
      try {
        await client.place(id, toMetadata(headers));
      } finally {
        await over;
      }
    },
    async [Symbol.asyncDispose]() {
      client.close();
      await app.close();
    },
  };
};

/** Runs all that comes in inside the patch, as another instrumentation below ours does. */
function patchedInterceptor(
  patched: { readonly patch: Patch },
  closed: () => void,
): ServerInterceptor {
  return (_definition, call) =>
    new (class extends ServerInterceptingCall {
      override start(listener: Parameters<ServerInterceptingCall["start"]>[0]): void {
        const { patch } = patched;
        super.start({
          onReceiveMetadata: (metadata) => patch(() => listener.onReceiveMetadata(metadata)),
          onReceiveMessage: (message) => patch(() => listener.onReceiveMessage(message)),
          onReceiveHalfClose: () => patch(() => listener.onReceiveHalfClose()),
          onCancel: () => {
            patch(() => listener.onCancel());
            setImmediate(closed);
          },
        });
      }
    })(call);
}

const shared = {
  name: "nestjs",
  propagator: w3cPropagator,
  outgoing: { kind: "CLIENT", name: "orders", attributes: {} },
  messaging: false,
  maxBytes: 8192,
  leakMessages: 2000,
  handlerError: "wrapped",
  // The metadata of a packet is an object, which holds a key once.
  repeatedUserHeader: "one",
  async receivePatched(harness, headers, handler, patch) {
    const patched = patches.get(harness);
    if (patched === undefined) throw new TypeError("not a harness of ours");
    patched.patch = patch;
    await harness.receive(headers, handler);
  },
} satisfies Partial<Adapter>;

const size = (headers: Headers) =>
  headers.reduce((sum, [key, value]) => sum + key.length + value.length, 0);

const http: Adapter = {
  ...shared,
  incoming: {
    kind: "SERVER",
    name: "GET /orders/:id",
    attributes: {
      "http.request.method": "GET",
      "http.route": "/orders/:id",
      "http.response.status_code": 200,
      "url.scheme": "http",
      "server.address": "127.0.0.1",
    },
    errorType: (error) => (error instanceof TypeError ? "502" : "500"),
  },
  // Node's HTTP parser takes at most 16 KiB, and no control character.
  canCarry: (headers) =>
    size(headers) < 14_000 &&
    headers.every(([, value]) => /^(?:[!-~](?:[ -~]*[!-~])?)?$/.test(value)),
  open: (options) => openHarness(listenHttp, options),
};

const grpc: Adapter = {
  ...shared,
  incoming: {
    kind: "SERVER",
    name: "shop.Orders/Place",
    attributes: {
      "rpc.system.name": "grpc",
      "rpc.method": "shop.Orders/Place",
      "rpc.status_code": "OK",
    },
    errorType: (error) => (error instanceof TypeError ? "INTERNAL" : "UNKNOWN"),
  },
  canCarry: (headers) =>
    size(headers) < 60_000 &&
    headers.every(([, value]) => /^(?:[!-~](?:[ -~]*[!-~])?)?$/.test(value)),
  open: (options) => openHarness(listenGrpc, options),
};

describe("Nest over HTTP keeps the contract of adapters", () => {
  for (const { title, run, timeout } of adapterContract(http)) test(title, run, timeout);
});

describe("Nest over gRPC keeps the contract of adapters", () => {
  for (const { title, run, timeout } of adapterContract(grpc)) test(title, run, timeout);
});
