import { createServer, type IncomingMessage } from "node:http";
import {
  Client,
  credentials,
  type Metadata,
  type MethodDefinition,
  Server,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
} from "@grpc/grpc-js";
import { Kafka, logLevel } from "kafkajs";
import { loadService, serve, shutDown } from "../system/grpc.js";
import { hostAndPort } from "../system/service.js";

/** The headers of one message in the order of their arrival. A key with several values is repeated. */
export type RawHeaders = readonly (readonly [key: string, value: string])[];

/** Receives messages in place of a role, or beside it, and records their headers. */
export interface Recorder extends AsyncDisposable {
  /** `host:port` of a server. Empty for a Kafka consumer. */
  readonly address: string;
  /** Waits for the headers of the next message that matches. Call it before the message is sent. */
  next(matches?: (headers: RawHeaders) => boolean): Promise<RawHeaders>;
}

/** Is called with the headers of every message. */
type Listener = (headers: RawHeaders) => void;

/** Starts a gRPC service with one unary method that gives a fixed answer, or forwards the call with its metadata. */
export async function startGrpcRecorder(
  {
    file,
    service,
    method,
  }: { readonly file: string; readonly service: string; readonly method: string },
  then: { readonly answer: object } | { readonly forwardTo: string },
  listener?: Listener,
): Promise<Recorder> {
  const waiter = new HeaderWaiter(listener);
  const server = new Server();
  const definition: ServiceDefinition = loadService(file, service);
  const client = "forwardTo" in then && new Client(then.forwardTo, credentials.createInsecure());
  server.addService(definition, {
    [method]: (call: ServerUnaryCall<object, object>, reply: sendUnaryData<object>) => {
      waiter.add(headersOf(call.metadata));
      if ("answer" in then) reply(null, then.answer);
      else if (client) forward(client, definition[method], call, reply);
    },
  });
  const address = await serve(server, "127.0.0.1", 0);
  return {
    address,
    next: (matches) => waiter.next(matches),
    [Symbol.asyncDispose]: async () => {
      await shutDown(server, 500);
      if (client) client.close();
    },
  };
}

function forward(
  client: Client,
  method: MethodDefinition<object, object> | undefined,
  { request, metadata }: ServerUnaryCall<object, object>,
  reply: sendUnaryData<object>,
): void {
  if (method === undefined) throw new Error("no such method");
  const { path, requestSerialize, responseDeserialize } = method;
  client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, metadata, reply);
}

function headersOf(metadata: Metadata): RawHeaders {
  return Object.keys(metadata.getMap()).flatMap((key) =>
    metadata.get(key).map((value) => [key, value.toString()] as const),
  );
}

/** Starts an HTTP server that gives a fixed answer. */
export async function startHttpRecorder(answer: object, listener?: Listener): Promise<Recorder> {
  const waiter = new HeaderWaiter(listener);
  const server = createServer((request, response) => {
    request.resume();
    request.on("end", () => {
      waiter.add(rawHeadersOf(request));
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    address: hostAndPort(server.address()),
    next: (matches) => waiter.next(matches),
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function rawHeadersOf({ rawHeaders }: IncomingMessage): RawHeaders {
  return rawHeaders.flatMap((key, i) =>
    i % 2 === 0 ? [[key, rawHeaders[i + 1] ?? ""] as const] : [],
  );
}

/** Consumes a topic from its end. */
export async function startKafkaRecorder(
  brokers: readonly string[],
  topic: string,
): Promise<Recorder> {
  const waiter = new HeaderWaiter();
  const kafka = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING });
  const consumer = kafka.consumer({
    groupId: `recorder-${crypto.randomUUID()}`,
    maxWaitTimeInMs: 100,
  });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: false });
  const fetching = new Promise<void>((resolve) => {
    consumer.on(consumer.events.FETCH, () => resolve());
  });
  await consumer.run({
    eachMessage: async ({ message }) => {
      waiter.add(
        Object.entries(message.headers ?? {}).flatMap(([key, value]) =>
          [value].flat().map((item) => [key, String(item)] as const),
        ),
      );
    },
  });
  await fetching;
  return {
    address: "",
    next: (matches) => waiter.next(matches),
    [Symbol.asyncDispose]: () => consumer.disconnect(),
  };
}

class HeaderWaiter {
  #next = Promise.withResolvers<RawHeaders>();
  #matches: (headers: RawHeaders) => boolean = () => true;
  readonly #listener: Listener | undefined;

  constructor(listener?: Listener) {
    this.#listener = listener;
  }

  next(matches: (headers: RawHeaders) => boolean = () => true): Promise<RawHeaders> {
    this.#next = Promise.withResolvers<RawHeaders>();
    this.#matches = matches;
    return this.#next.promise;
  }

  add(headers: RawHeaders): void {
    this.#listener?.(headers);
    if (this.#matches(headers)) this.#next.resolve(headers);
  }
}
