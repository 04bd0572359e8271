import { fileURLToPath } from "node:url";
import {
  Client,
  type ClientOptions,
  type ClientReadableStream,
  credentials,
  type MethodDefinition,
  type Server,
  ServerCredentials,
  type ServiceDefinition,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { HealthImplementation } from "grpc-health-check";
import type { z } from "zod";

const PROTO = fileURLToPath(new URL("../../../proto", import.meta.url));

/** Loads a service of proto/jeeves/v1 as a definition for grpc-js. */
export function loadService(file: string, name: string): ServiceDefinition {
  const definition = loadSync(`jeeves/v1/${file}`, {
    includeDirs: [PROTO],
    defaults: true,
    oneofs: true,
  })[name];
  if (definition === undefined || "format" in definition) {
    throw new Error(`no service ${name} in ${file}`);
  }
  return definition;
}

/** A client of one service. It connects with its first call. */
export class ServiceClient {
  readonly #client: Client;
  readonly #service: ServiceDefinition;

  constructor(address: string, service: ServiceDefinition, options: ClientOptions) {
    this.#client = new Client(address, credentials.createInsecure(), options);
    this.#service = service;
  }

  /** Calls a unary method. The deadline is sent with the call. */
  unary<T>(method: string, request: object, reply: z.ZodType<T>, deadlineMs: number): Promise<T> {
    const { path, requestSerialize, responseDeserialize } = this.#method(method);
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest<object, object>(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        { deadline: Date.now() + deadlineMs },
        (error, value) => {
          if (error !== null) reject(error);
          else resolve(reply.parse(value));
        },
      );
    });
  }

  /** Calls a method with a stream of replies. Leaving the iteration, or the signal, cancels the call. */
  async *stream<T>(
    method: string,
    request: object,
    reply: z.ZodType<T>,
    deadlineMs: number,
    signal?: AbortSignal,
  ): AsyncGenerator<T, void, undefined> {
    const { path, requestSerialize, responseDeserialize } = this.#method(method);
    const call: ClientReadableStream<object> = this.#client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      { deadline: Date.now() + deadlineMs },
    );
    const cancel = (): void => call.cancel();
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      for await (const value of call) yield reply.parse(value);
    } finally {
      signal?.removeEventListener("abort", cancel);
      call.cancel();
    }
  }

  /** Closes the connection. */
  close(): void {
    this.#client.close();
  }

  #method(name: string): MethodDefinition<object, object> {
    const method = this.#service[name];
    if (method === undefined) throw new Error(`no method ${name}`);
    return method;
  }
}

/** A signal that is aborted when the caller cancels the call. */
export function abortedBy(call: {
  on(event: "cancelled", listener: () => void): unknown;
}): AbortSignal {
  const controller = new AbortController();
  call.on("cancelled", () => controller.abort());
  return controller.signal;
}

/** Starts the server with the standard health service. Returns `host:port`. */
export async function serve(server: Server, host: string, port: number): Promise<string> {
  const health = new HealthImplementation({ "": "SERVING" });
  health.addToServer(server);
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, ServerCredentials.createInsecure(), (error, actual) => {
      if (error === null) resolve(actual);
      else reject(error);
    });
  });
  return `${host}:${bound}`;
}

/** Stops the server. Calls under way are ended after `graceMs` milliseconds. */
export async function shutDown(server: Server, graceMs = 3000): Promise<void> {
  await new Promise<void>((resolve) => {
    const force = setTimeout(() => server.forceShutdown(), graceMs);
    server.tryShutdown(() => {
      clearTimeout(force);
      resolve();
    });
  });
}
