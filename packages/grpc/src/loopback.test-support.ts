import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
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

// The service of all tests: one method of each kind, messages of plain text.
const PLACE = "/shop.v1.Orders/Place";
const COLLECT = "/shop.v1.Orders/Collect";
const LIST = "/shop.v1.Orders/List";
const CHAT = "/shop.v1.Orders/Chat";
/** A method that no server has. */
export const NOWHERE = "/shop.v1.Orders/Nowhere";
/** A method that `barePeer` ends well, without an answer. */
export const NOTHING = "/shop.v1.Orders/Nothing";

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

const orders: ServiceDefinition = {
  place: method(PLACE, false, false),
  collect: method(COLLECT, true, false),
  list: method(LIST, false, true),
  chat: method(CHAT, true, true),
};

export interface OrdersHandlers {
  readonly place: handleUnaryCall<string, string>;
  readonly collect: handleClientStreamingCall<string, string>;
  readonly list: handleServerStreamingCall<string, string>;
  readonly chat: handleBidiStreamingCall<string, string>;
}

/** The client of that service, as generated ones are. */
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

  placed(order: string, metadata = new Metadata(), options: CallOptions = {}): Promise<string> {
    return new Promise((resolve, reject) => {
      this.place(order, metadata, options, settle(resolve, reject));
    });
  }

  /** Calls any unary method. */
  called(path: string, order: string, metadata = new Metadata()): Promise<string> {
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

/** A server with these handlers (what is missing is not implemented), and a client that talks to it. */
export async function loopback(
  handlers: Partial<OrdersHandlers>,
  serverOptions: ServerOptions = {},
  clientOptions: ClientOptions = {},
): Promise<Loopback> {
  const server = new Server(serverOptions);
  server.addService(orders, { ...handlers });
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

// A pseudo header of the answer, which no call can have.
const REQUEST = ":request";

type Pairs = (readonly [key: string, value: string])[];

interface BarePeer extends AsyncDisposable {
  readonly port: number;
}

/**
 * A peer without any tracing and without grpc-js: it answers every unary call with the headers that came,
 * in their order and repeated ones apart, and with the request, once it is there whole (`Place`). To `/Nothing` it answers nothing, and of `/Nowhere` it knows nothing.
 */
export async function barePeer(): Promise<BarePeer> {
  const server = createServer();
  server.on("stream", (stream, headers, _flags, raw: string[]) => {
    const request: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => request.push(chunk));
    const type = { ":status": 200, "content-type": "application/grpc" };
    if (headers[":path"] === NOWHERE) {
      stream.respond({ ...type, "grpc-status": "12", "grpc-message": "" }, { endStream: true });
      return;
    }
    stream.respond(type, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    if (headers[":path"] === NOTHING) {
      stream.end();
      return;
    }
    const answer = () => {
      const text = Buffer.concat(request).subarray(5).toString();
      const body = Buffer.from(JSON.stringify([...pairs(raw), [REQUEST, text]]));
      const frame = Buffer.alloc(5);
      frame.writeUInt32BE(body.length, 1);
      stream.end(Buffer.concat([frame, body]));
    };
    if (headers[":path"] === PLACE) stream.once("end", answer);
    else answer();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = addressOf(server.address());
  return {
    port,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
      }),
  };
}

function addressOf(address: AddressInfo | string | null): AddressInfo {
  if (typeof address === "object" && address !== null) return address;
  throw new TypeError(`not an address of TCP: ${address}`);
}

function pairs(raw: readonly string[]): Pairs {
  const result: Pairs = [];
  for (let at = 0; at + 1 < raw.length; at += 2) result.push([raw[at] ?? "", raw[at + 1] ?? ""]);
  return result;
}

/** What `barePeer` answered: the request. */
export function requestOf(answer: string): string | undefined {
  return answered(answer).find(([key]) => key === REQUEST)?.[1];
}

/** What `barePeer` answered: the headers as they came, but for those that every call has. */
export function headersOf(answer: string): Pairs {
  return answered(answer).filter(([key]) => !isTransports(key));
}

function answered(answer: string): Pairs {
  const parsed: unknown = JSON.parse(answer);
  if (!Array.isArray(parsed)) throw new TypeError(`no list of headers: ${answer}`);
  return parsed
    .map((pair: unknown) => (Array.isArray(pair) ? pair.map(String) : []))
    .map(([key = "", value = ""]) => [key, value]);
}

function isTransports(key: string): boolean {
  return key.startsWith(":") || key.startsWith("grpc-") || TRANSPORTS.has(key);
}

const TRANSPORTS: ReadonlySet<string> = new Set([
  "te",
  "content-type",
  "user-agent",
  "accept-encoding",
]);

/** Metadata with these pairs, in their order. */
export function metadataOf(headers: readonly (readonly [key: string, value: string])[]): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of headers) metadata.add(key, value);
  return metadata;
}

/** An interceptor to stand before ours, whose calls have these members in place of grpc-js's. */
export function altered(members: Readonly<Record<string, unknown>>): ServerInterceptor {
  return (_definition, wire) => Object.assign(new ServerInterceptingCall(wire), members);
}

/** Marks a method as instrumentation-grpc's patching does, and with `false` as a patch that was taken off. */
export function patched(method: object, wrapped = true): Disposable {
  Reflect.set(method, "__wrapped", wrapped);
  return {
    [Symbol.dispose]() {
      Reflect.deleteProperty(method, "__wrapped");
    },
  };
}

/** Something that is waited for until it is given. */
export function signal(): { readonly given: Promise<void>; readonly give: () => void } {
  let give = () => {};
  const given = new Promise<void>((resolve) => {
    give = resolve;
  });
  return { given, give: () => give() };
}
