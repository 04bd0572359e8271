import type { handleUnaryCall, ServiceDefinition } from "@grpc/grpc-js";

import { decodeTraces, OtlpDecodeError } from "../otlp/index.js";
import { encodeResponse } from "../otlp/reply.js";
import type { Span } from "../span.js";
import type { RunningServer } from "./http.js";

/** gRPC's own default of 4 MB is too little for large batches. */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

/**
 * Starts a server for OTLP over gRPC and calls `onSpans` with each batch. Resolves with undefined when
 * `@grpc/grpc-js` is not installed and not required.
 *
 * @throws Error when it is not installed but required, or when the port is taken.
 */
export async function listenGrpc(
  options: { readonly host: string; readonly port: number; readonly required: boolean },
  onSpans: (spans: readonly Span[]) => void,
): Promise<RunningServer | undefined> {
  const grpc = await loadGrpc(options.required);
  if (grpc === undefined) return undefined;

  const server = new grpc.Server({ "grpc.max_receive_message_length": MAX_MESSAGE_BYTES });
  const { INVALID_ARGUMENT } = grpc.status;
  server.addService(serviceDefinition("trace.v1.TraceService"), {
    export: unaryHandler((body) => {
      const decoded = decodeTraces(body, "protobuf", Date.now());
      onSpans(decoded.spans);
      return encodeResponse(decoded, "protobuf");
    }, INVALID_ARGUMENT),
  });
  for (const name of ["metrics.v1.MetricsService", "logs.v1.LogsService"]) {
    server.addService(serviceDefinition(name), {
      export: unaryHandler(() => Buffer.alloc(0), INVALID_ARGUMENT),
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

// Messages stay bytes here: the OTLP decoder reads them, as it does over HTTP.
function serviceDefinition(name: string): ServiceDefinition {
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

function unaryHandler(
  respond: (body: Buffer) => Buffer,
  invalidArgument: number,
): handleUnaryCall<Buffer, Buffer> {
  return (call, callback) => {
    try {
      callback(null, respond(call.request));
    } catch (error) {
      if (!(error instanceof OtlpDecodeError)) throw error;
      callback({ code: invalidArgument, details: error.message });
    }
  };
}
