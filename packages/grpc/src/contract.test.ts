import {
  type ClientOptions,
  type handleUnaryCall,
  InterceptingCall,
  type Interceptor,
  Metadata,
  ServerInterceptingCall,
  type ServerInterceptor,
  status,
} from "@grpc/grpc-js";
import {
  type Adapter,
  type AdapterOptions,
  adapterContract,
  type Harness,
  type SentMessage,
} from "@traceferry/contract";
import { w3cPropagator } from "@traceferry/core";
import type { Headers } from "@traceferry/testkit";
import { describe, test } from "vitest";
import { echoServer, headersIn, NOWHERE, requestIn } from "./echo-server.test-support.js";
import { withClientTracing, withServerTracing } from "./index.js";
import { loopback, metadataOf, OrdersClient } from "./loopback.test-support.js";

type Patch = <Result>(next: () => Result) => Result;

// The patching of each harness. By default there is none: the patch only goes on.
const patchings = new WeakMap<Harness, Patching>();

interface Patching {
  patch: Patch;
}

/** A traced server that an untraced client calls, and a traced client that calls an echo server. */
async function open(options: AdapterOptions = {}): Promise<Harness> {
  const handlers = new Map<string, () => unknown>();
  const patching: Patching = { patch: (next) => next() };
  const serverOptions = withServerTracing({}, options);
  const interceptors = [patchInterceptor(patching), ...(serverOptions.interceptors ?? [])];
  const server = await loopback(
    { place: placeHandler(handlers) },
    { ...serverOptions, interceptors },
  );
  const echo = await echoServer();
  let started = 0;
  const counting = countStarts(() => started++);
  const traced = new OrdersClient(echo.port, withClientTracing(counting, options));
  const untraced = new OrdersClient(echo.port, counting);
  let received = 0;
  const sendBy = async (client: OrdersClient, message: unknown): Promise<SentMessage> => {
    const answer = await client.placeAsync("one order", metadataFrom(message));
    return { headers: headersIn(answer), body: requestIn(answer) };
  };

  const harness: Harness = {
    async receive(headers, handler) {
      const id = String(received++);
      handlers.set(id, handler);
      try {
        await server.client.placeAsync(id, metadataOf(headers));
      } finally {
        handlers.delete(id);
      }
    },
    message(headers, frozen = false) {
      const metadata = metadataOf(headers);
      if (frozen) for (const [key] of headers) Object.freeze(metadata.get(key));
      return frozen ? Object.freeze(metadata) : metadata;
    },
    snapshot: (message) => structuredClone(metadataFrom(message).toJSON()),
    send: (message) => sendBy(traced, message),
    sendUninstrumented: (message) => sendBy(untraced, message),
    transportSends: () => started,
    async sendFailing(message) {
      await traced.callAsync(NOWHERE, "one order", metadataFrom(message));
    },
    async [Symbol.asyncDispose]() {
      traced.close();
      untraced.close();
      server[Symbol.dispose]();
      await echo[Symbol.asyncDispose]();
    },
  };
  patchings.set(harness, patching);
  return harness;
}

/** Returns options with an interceptor, the last before grpc-js itself, that counts the calls that start. */
function countStarts(count: () => void): ClientOptions {
  const interceptor: Interceptor = (options, nextCall) =>
    new InterceptingCall(nextCall(options), {
      start(metadata, listener, next) {
        count();
        next(metadata, listener);
      },
    });
  return { interceptors: [interceptor] };
}

// Like a user's handler: what it throws at once reaches grpc-js, and what it rejects with is its answer.
function placeHandler(
  handlers: ReadonlyMap<string, () => unknown>,
): handleUnaryCall<string, string> {
  return (call, answer) => {
    const result = handlers.get(call.request)?.();
    Promise.resolve(result).then(
      () => answer(null, "done"),
      (error: unknown) => answer({ code: statusFor(error), details: String(error) }),
    );
  };
}

function statusFor(error: unknown): status {
  return error instanceof TypeError ? status.INTERNAL : status.UNKNOWN;
}

/** Returns an interceptor, to stand before ours, that acts as somebody else's patching does. */
function patchInterceptor(patching: Patching): ServerInterceptor {
  return (_definition, nextCall) =>
    new (class extends ServerInterceptingCall {
      override start(listener: Parameters<ServerInterceptingCall["start"]>[0]): void {
        const { patch } = patching;
        super.start({
          onReceiveMetadata: (metadata) => patch(() => listener.onReceiveMetadata(metadata)),
          onReceiveMessage: (message) => patch(() => listener.onReceiveMessage(message)),
          onReceiveHalfClose: () => patch(() => listener.onReceiveHalfClose()),
          onCancel: () => patch(() => listener.onCancel()),
        });
      }
    })(nextCall);
}

function metadataFrom(message: unknown): Metadata {
  if (message instanceof Metadata) return message;
  throw new TypeError("not a message of this adapter");
}

// grpc-js refuses values that are not printable ASCII and drops spaces at their ends; Node refuses headers above
// 64 KiB.
function canCarry(headers: Headers): boolean {
  const bytes = headers.reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  return bytes < 60_000 && headers.every(([, value]) => /^(?:[!-~](?:[ -~]*[!-~])?)?$/.test(value));
}

const METHOD_ATTRIBUTES = { "rpc.system.name": "grpc", "rpc.method": "shop.v1.Orders/Place" };
const ADDRESS_ATTRIBUTES = { "server.address": "127.0.0.1", "network.peer.address": "127.0.0.1" };

const grpc: Adapter = {
  name: "grpc",
  propagator: w3cPropagator,
  incoming: {
    kind: "SERVER",
    name: "shop.v1.Orders/Place",
    attributes: { ...METHOD_ATTRIBUTES, ...ADDRESS_ATTRIBUTES, "rpc.status_code": "OK" },
    errorType: (error) => status[statusFor(error)],
  },
  outgoing: {
    kind: "CLIENT",
    name: "shop.v1.Orders/Place",
    attributes: { ...METHOD_ATTRIBUTES, ...ADDRESS_ATTRIBUTES, "rpc.status_code": "OK" },
    errorType: () => "UNIMPLEMENTED",
  },
  messaging: false,
  maxBytes: 4096,
  leakMessages: 2000,
  handlerError: "wrapped",
  canCarry,
  open,
  async receivePatched(harness, headers, handler, patch) {
    const patching = patchings.get(harness);
    if (patching === undefined) throw new TypeError("not a harness of this adapter");
    patching.patch = patch;
    await harness.receive(headers, handler);
  },
};

describe("gRPC keeps the contract of adapters", () => {
  for (const { title, run, timeout } of adapterContract(grpc)) test(title, run, timeout);
});
