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
import { withClientTracing, withServerTracing } from "./index.js";
import {
  barePeer,
  headersOf,
  loopback,
  metadataOf,
  NOWHERE,
  OrdersClient,
  requestOf,
} from "./loopback.test-support.js";

type Patch = <Result>(next: () => Result) => Result;

const patches = new WeakMap<Harness, { patch: Patch }>();

/** A traced server that a bare client calls, and a traced client that calls a bare peer. */
async function open(options: AdapterOptions = {}): Promise<Harness> {
  const handlers = new Map<string, () => unknown>();
  const patched: { patch: Patch } = { patch: (next) => next() };
  const serverOptions = withServerTracing({}, options);
  const interceptors = [between(patched), ...(serverOptions.interceptors ?? [])];
  const server = await loopback({ place: running(handlers) }, { ...serverOptions, interceptors });
  const peer = await barePeer();
  let calls = 0;
  const counting = countingStarts(() => calls++);
  const traced = new OrdersClient(peer.port, withClientTracing(counting, options));
  const bare = new OrdersClient(peer.port, counting);
  let received = 0;
  const toPeer = async (client: OrdersClient, message: unknown): Promise<SentMessage> => {
    const answer = await client.placed("one order", metadataFrom(message));
    return { headers: headersOf(answer), body: requestOf(answer) };
  };

  const harness: Harness = {
    async receive(headers, handler) {
      const id = String(received++);
      handlers.set(id, handler);
      try {
        await server.client.placed(id, metadataOf(headers));
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
    send: (message) => toPeer(traced, message),
    sendUninstrumented: (message) => toPeer(bare, message),
    transportSends: () => calls,
    async sendFailing(message) {
      await traced.called(NOWHERE, "one order", metadataFrom(message));
    },
    async [Symbol.asyncDispose]() {
      traced.close();
      bare.close();
      server[Symbol.dispose]();
      await peer[Symbol.asyncDispose]();
    },
  };
  patches.set(harness, patched);
  return harness;
}

/** An interceptor next to grpc-js itself. */
function countingStarts(count: () => void): ClientOptions {
  const interceptor: Interceptor = (options, nextCall) =>
    new InterceptingCall(nextCall(options), {
      start(metadata, listener, next) {
        count();
        next(metadata, listener);
      },
    });
  return { interceptors: [interceptor] };
}

// As users write them: what they throw at once reaches grpc-js, what they reject with they answer themselves.
function running(handlers: ReadonlyMap<string, () => unknown>): handleUnaryCall<string, string> {
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

/** Somebody else's patching, nearer to the wire than we are. */
function between(patched: { readonly patch: Patch }): ServerInterceptor {
  return (_definition, wire) =>
    new (class extends ServerInterceptingCall {
      override start(listener: Parameters<ServerInterceptingCall["start"]>[0]): void {
        const { patch } = patched;
        super.start({
          onReceiveMetadata: (metadata) => patch(() => listener.onReceiveMetadata(metadata)),
          onReceiveMessage: (message) => patch(() => listener.onReceiveMessage(message)),
          onReceiveHalfClose: () => patch(() => listener.onReceiveHalfClose()),
          onCancel: () => patch(() => listener.onCancel()),
        });
      }
    })(wire);
}

function metadataFrom(message: unknown): Metadata {
  if (message instanceof Metadata) return message;
  throw new TypeError("not a message of this harness");
}

// grpc-js refuses what is not printable ASCII and loses blanks at the ends; Node refuses headers above 64 KiB.
function canCarry(headers: Headers): boolean {
  const bytes = headers.reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  return bytes < 60_000 && headers.every(([, value]) => /^(?:[!-~](?:[ -~]*[!-~])?)?$/.test(value));
}

const method = { "rpc.system.name": "grpc", "rpc.method": "shop.v1.Orders/Place" };
const served = { "server.address": "127.0.0.1", "network.peer.address": "127.0.0.1" };

const grpc: Adapter = {
  name: "grpc",
  propagator: w3cPropagator,
  incoming: {
    kind: "SERVER",
    name: "shop.v1.Orders/Place",
    attributes: { ...method, ...served, "rpc.status_code": "OK" },
    errorType: (error) => status[statusFor(error)],
  },
  outgoing: {
    kind: "CLIENT",
    name: "shop.v1.Orders/Place",
    attributes: { ...method, ...served, "rpc.status_code": "OK" },
    errorType: () => "UNIMPLEMENTED",
  },
  messaging: false,
  maxBytes: 4096,
  leakMessages: 2000,
  handlerError: "wrapped",
  canCarry,
  open,
  async receivePatched(harness, headers, handler, patch) {
    const patched = patches.get(harness);
    if (patched === undefined) throw new TypeError("not a harness of ours");
    patched.patch = patch;
    await harness.receive(headers, handler);
  },
};

describe("gRPC keeps the contract of adapters", () => {
  for (const { title, run, timeout } of adapterContract(grpc)) test(title, run, timeout);
});
