import {
  type CallOptions,
  Client,
  type ClientDuplexStream,
  type ClientOptions,
  type ClientReadableStream,
  type ClientUnaryCall,
  type ClientWritableStream,
  credentials,
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  type requestCallback,
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptor,
  type ServerOptions,
  type ServiceDefinition,
  type ServiceError,
} from "@grpc/grpc-js";

// The service of all tests has one method of each kind; its messages are plain text.

/** Its unary method. */
export const PLACE = "/shop.v1.Orders/Place";
const COLLECT = "/shop.v1.Orders/Collect";
const LIST = "/shop.v1.Orders/List";
const CHAT = "/shop.v1.Orders/Chat";

const pack = (text: string): Buffer => Buffer.from(text);
const unpack = (bytes: Buffer): string => bytes.toString();

function method(path: string, requestStream: boolean, responseStream: boolean) {
  const codec = {
    requestSerialize: pack,
    requestDeserialize: unpack,
    responseSerialize: pack,
    responseDeserialize: unpack,
  };
  return { path, requestStream, responseStream, ...codec };
}

const ORDERS: ServiceDefinition = {
  place: method(PLACE, false, false),
  collect: method(COLLECT, true, false),
  list: method(LIST, false, true),
  chat: method(CHAT, true, true),
};

/** The handlers of that service. */
export interface OrdersHandlers {
  readonly place: handleUnaryCall<string, string>;
  readonly collect: handleClientStreamingCall<string, string>;
  readonly list: handleServerStreamingCall<string, string>;
  readonly chat: handleBidiStreamingCall<string, string>;
}

/** A client of that service, like a generated one. */
export class OrdersClient extends Client implements Disposable {
  constructor(port: number, options: ClientOptions = {}) {
    super(`127.0.0.1:${port}`, credentials.createInsecure(), options);
  }

  place(
    order: string,
    metadata: Metadata,
    options: CallOptions,
    callback: requestCallback<string>,
  ): ClientUnaryCall {
    return this.makeUnaryRequest(PLACE, pack, unpack, order, metadata, options, callback);
  }

  /** Calls `Place` and returns a promise of the response. */
  placeAsync(order: string, metadata = new Metadata(), options: CallOptions = {}): Promise<string> {
    return new Promise((resolve, reject) => {
      this.place(order, metadata, options, settle(resolve, reject));
    });
  }

  /** Calls any unary method and returns a promise of the response. */
  callAsync(path: string, order: string, metadata = new Metadata()): Promise<string> {
    return new Promise((resolve, reject) => {
      const done = settle(resolve, reject);
      this.makeUnaryRequest(path, pack, unpack, order, metadata, {}, done);
    });
  }

  collect(
    callback: requestCallback<string>,
    metadata = new Metadata(),
    options: CallOptions = {},
  ): ClientWritableStream<string> {
    return this.makeClientStreamRequest(COLLECT, pack, unpack, metadata, options, callback);
  }

  list(
    order: string,
    metadata = new Metadata(),
    options: CallOptions = {},
  ): ClientReadableStream<string> {
    return this.makeServerStreamRequest(LIST, pack, unpack, order, metadata, options);
  }

  chat(metadata = new Metadata(), options: CallOptions = {}): ClientDuplexStream<string, string> {
    return this.makeBidiStreamRequest(CHAT, pack, unpack, metadata, options);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function settle(
  resolve: (text: string) => void,
  reject: (error: ServiceError) => void,
): requestCallback<string> {
  return (error, text = "") => {
    if (error === null) resolve(text);
    else reject(error);
  };
}

interface Loopback extends Disposable {
  readonly port: number;
  readonly server: Server;
  readonly client: OrdersClient;
}

/** Starts a server with these handlers, and a client of it. A method without a handler is `UNIMPLEMENTED`. */
export async function loopback(
  handlers: Partial<OrdersHandlers>,
  serverOptions: ServerOptions = {},
  clientOptions: ClientOptions = {},
): Promise<Loopback> {
  const server = new Server(serverOptions);
  server.addService(ORDERS, { ...handlers });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  const client = new OrdersClient(port, clientOptions);
  return {
    port,
    server,
    client,
    [Symbol.dispose]() {
      client.close();
      server.forceShutdown();
    },
  };
}

/** Returns metadata with these pairs, in their order. */
export function metadataOf(headers: readonly (readonly [key: string, value: string])[]): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of headers) metadata.add(key, value);
  return metadata;
}

/** Returns an interceptor that replaces these members of each call, for ours to find: put it before ours. */
export function overrideCalls(members: Readonly<Record<string, unknown>>): ServerInterceptor {
  return (_definition, nextCall) => Object.assign(new ServerInterceptingCall(nextCall), members);
}

/** Marks a method as patched by instrumentation-grpc, with `wrapped` false as unpatched again. */
export function markPatched(method: object, wrapped = true): Disposable {
  Reflect.set(method, "__wrapped", wrapped);
  return {
    [Symbol.dispose]() {
      Reflect.deleteProperty(method, "__wrapped");
    },
  };
}

/** Returns a promise and the function that resolves it. */
export function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((fulfil) => {
    resolve = fulfil;
  });
  return { promise, resolve };
}

/** For tests of many values or calls: a busy machine may be slow with them, which is no failure. */
export const SLOW_TEST = { timeout: 60_000 };
