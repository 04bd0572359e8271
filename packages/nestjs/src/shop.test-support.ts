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

const method = (streams: { requestStream?: boolean; responseStream?: boolean }) => ({
  requestType: "Text",
  responseType: "Text",
  comment: "",
  ...streams,
});

/** The service of all tests: messages of one text, each kind of method that differs for us. */
const definition = fromJSON({
  nested: {
    shop: {
      nested: {
        Text: { fields: { text: { type: "string", id: 1 } } },
        Orders: {
          methods: {
            Place: method({}),
            Watch: method({ responseStream: true }),
            Collect: method({ requestStream: true }),
            Tally: method({ requestStream: true }),
          },
        },
      },
    },
  },
});

export interface Text {
  readonly text: string;
}

interface Method {
  readonly path: string;
  requestSerialize(value: unknown): Buffer;
  responseDeserialize(bytes: Buffer): unknown;
}

function methodOf(name: string): Method {
  const service = definition["shop.Orders"];
  const found: unknown = service === undefined ? undefined : Reflect.get(service, name);
  if (isMethod(found)) return found;
  throw new Error(`no method ${name}`);
}

const isMethod = (value: unknown): value is Method =>
  typeof value === "object" && value !== null && "requestSerialize" in value;
const isText = (value: unknown): value is Text =>
  typeof value === "object" && value !== null && "text" in value;

/** A client of the shop, without any tracing. */
export class ShopClient extends Client {
  constructor(port: number) {
    super(`127.0.0.1:${port}`, credentials.createInsecure());
  }

  place(text: string, metadata = new Metadata(), hangUp?: AbortSignal): Promise<string> {
    const { path, requestSerialize, responseDeserialize } = methodOf("Place");
    return new Promise((resolve, reject) => {
      const call = this.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        { text },
        metadata,
        (error, answer?: unknown) =>
          error === null && isText(answer) ? resolve(answer.text) : reject(error),
      );
      hangUp?.addEventListener("abort", () => call.cancel());
    });
  }

  async watch(text: string): Promise<number> {
    const { path, requestSerialize, responseDeserialize } = methodOf("Watch");
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
    const { path, requestSerialize, responseDeserialize } = methodOf(name);
    return new Promise((resolve, reject) => {
      const call = this.makeClientStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        metadata,
        (error, answer?: unknown) => (error === null ? resolve(answer) : reject(error)),
      );
      for (const text of texts) call.write({ text });
      call.end();
    });
  }
}

/** Options of a microservice that serves the shop on a port of its choice, which it tells. */
export function shopOptions(interceptors: readonly ServerInterceptor[] = []): {
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
      packageDefinition: definition,
      url: "127.0.0.1:0",
      channelOptions: { interceptors: [...interceptors] },
      // Nest does not tell which port it got.
      onLoadPackageDefinition: (_package, server) =>
        server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), bound),
    },
  };
  return { options, port };
}

/** Metadata with these pairs, in their order. */
export function metadataOf(headers: Headers): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of headers) metadata.add(key, value);
  return metadata;
}
