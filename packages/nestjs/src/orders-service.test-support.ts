import {
  Client,
  credentials,
  Metadata,
  ServerCredentials,
  type ServerInterceptor,
} from "@grpc/grpc-js";
import { fromJSON } from "@grpc/proto-loader";
import { type GrpcOptions, Transport } from "@nestjs/microservices";
import type { Headers } from "@traceferry/testkit";

const defineMethod = (streams: { requestStream?: boolean; responseStream?: boolean }) => ({
  requestType: "Text",
  responseType: "Text",
  comment: "",
  ...streams,
});

/** The service of the tests: its messages hold one text, and its methods are of each kind that matters here. */
const PACKAGE_DEFINITION = fromJSON({
  nested: {
    shop: {
      nested: {
        Text: { fields: { text: { type: "string", id: 1 } } },
        Orders: {
          methods: {
            Place: defineMethod({}),
            Watch: defineMethod({ responseStream: true }),
            Collect: defineMethod({ requestStream: true }),
            Tally: defineMethod({ requestStream: true }),
          },
        },
      },
    },
  },
});

/** The message of all methods. */
export interface Text {
  readonly text: string;
}

interface MethodDefinition {
  readonly path: string;
  requestSerialize(value: unknown): Buffer;
  responseDeserialize(bytes: Buffer): unknown;
}

function findMethod(name: string): MethodDefinition {
  const service = PACKAGE_DEFINITION["shop.Orders"];
  const definition: unknown = service === undefined ? undefined : Reflect.get(service, name);
  if (isMethodDefinition(definition)) return definition;
  throw new Error(`no method ${name}`);
}

const isMethodDefinition = (value: unknown): value is MethodDefinition =>
  typeof value === "object" && value !== null && "requestSerialize" in value;
const isText = (value: unknown): value is Text =>
  typeof value === "object" && value !== null && "text" in value;

/** A client of the service, without tracing. */
export class OrdersClient extends Client {
  constructor(port: number) {
    super(`127.0.0.1:${port}`, credentials.createInsecure());
  }

  place(text: string, metadata = new Metadata(), signal?: AbortSignal): Promise<string> {
    const { path, requestSerialize, responseDeserialize } = findMethod("Place");
    return new Promise((resolve, reject) => {
      const call = this.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        { text },
        metadata,
        (error, reply?: unknown) =>
          error === null && isText(reply) ? resolve(reply.text) : reject(error),
      );
      signal?.addEventListener("abort", () => call.cancel());
    });
  }

  async watch(text: string): Promise<number> {
    const { path, requestSerialize, responseDeserialize } = findMethod("Watch");
    let messages = 0;
    const call = this.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {
      text,
    });
    for await (const _ of call) messages++;
    return messages;
  }

  collect(
    texts: readonly string[],
    metadata: Metadata,
    name: "Collect" | "Tally" = "Collect",
  ): Promise<unknown> {
    const { path, requestSerialize, responseDeserialize } = findMethod(name);
    return new Promise((resolve, reject) => {
      const call = this.makeClientStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        metadata,
        (error, reply?: unknown) => (error === null ? resolve(reply) : reject(error)),
      );
      for (const text of texts) call.write({ text });
      call.end();
    });
  }
}

/** Returns the options of a microservice that serves `shop.Orders` on any free port, and that port. */
export function ordersServiceOptions(interceptors: readonly ServerInterceptor[] = []): {
  readonly options: GrpcOptions;
  readonly port: Promise<number>;
} {
  let bound: (error: Error | null, port: number) => void = () => {};
  const port = new Promise<number>((resolve, reject) => {
    bound = (error, number) => (error === null ? resolve(number) : reject(error));
  });
  const options: GrpcOptions = {
    transport: Transport.GRPC,
    options: {
      package: "shop",
      packageDefinition: PACKAGE_DEFINITION,
      url: "127.0.0.1:0",
      channelOptions: { interceptors: [...interceptors] },
      // Bound here, because Nest does not tell the port.
      onLoadPackageDefinition: (_package, server) =>
        server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), bound),
    },
  };
  return { options, port };
}

/** Returns metadata with these pairs, in their order. */
export function toMetadata(headers: Headers): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of headers) metadata.add(key, value);
  return metadata;
}
