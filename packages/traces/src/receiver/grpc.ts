import type { handleUnaryCall, ServiceDefinition } from "@grpc/grpc-js";
import { OtlpDecodeError } from "../otlp/error.js";
import { decodeTraces } from "../otlp/index.js";
import { encodeResponse } from "../otlp/reply.js";
import type { Span } from "../span.js";
import type { Listening } from "./http.js";

/** Above gRPC's own 4 MB, which a large batch passes. */
const maxMessageBytes = 64 * 1024 * 1024;

/**
 * Listens for OTLP over gRPC, or gives undefined when `@grpc/grpc-js` is not installed.
 *
 * @throws Error when it is not installed and `required`.
 */
export async function listenGrpc(
  options: { readonly host: string; readonly port: number; readonly required: boolean },
  onSpans: (spans: readonly Span[]) => void,
): Promise<Listening | undefined> {
  const grpc = await loadGrpc(options.required);
  if (grpc === undefined) return undefined;

  const server = new grpc.Server({ "grpc.max_receive_message_length": maxMessageBytes });
  const { INVALID_ARGUMENT } = grpc.status;
  server.addService(serviceOf("trace.v1.TraceService"), {
    export: answering((body) => {
      const decoded = decodeTraces(body, "protobuf", Date.now());
      onSpans(decoded.spans);
      return encodeResponse(decoded, "protobuf");
    }, INVALID_ARGUMENT),
  });
  for (const name of ["metrics.v1.MetricsService", "logs.v1.LogsService"]) {
    server.addService(serviceOf(name), {
      export: answering(() => Buffer.alloc(0), INVALID_ARGUMENT),
    });
  }
  const port = await new Promise<number>((resolve, reject) => {
    const address = options.host.includes(":") ? `[${options.host}]` : options.host;
    server.bindAsync(
      `${address}:${options.port}`,
      grpc.ServerCredentials.createInsecure(),
      (error, bound) => (error === null ? resolve(bound) : reject(error)),
    );
  });
  return {
    port,
    close: () => {
      server.forceShutdown();
      return Promise.resolve();
    },
  };
}

async function loadGrpc(required: boolean): Promise<typeof import("@grpc/grpc-js") | undefined> {
  try {
    return await import("@grpc/grpc-js");
  } catch (error) {
    if (!required) return undefined;
    throw new Error("a receiver with grpc: true needs the package @grpc/grpc-js", { cause: error });
  }
}

// The messages stay bytes: the field table that reads them is the one of the HTTP side.
function serviceOf(name: string): ServiceDefinition {
  const identity = (bytes: Buffer): Buffer => bytes;
  return {
    export: {
      path: `/opentelemetry.proto.collector.${name}/Export`,
      requestStream: false,
      responseStream: false,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    },
  };
}

function answering(
  answer: (body: Buffer) => Buffer,
  invalidArgument: number,
): handleUnaryCall<Buffer, Buffer> {
  return (call, callback) => {
    try {
      callback(null, answer(call.request));
    } catch (error) {
      if (!(error instanceof OtlpDecodeError)) throw error;
      callback({ code: invalidArgument, details: error.message });
    }
  };
}
