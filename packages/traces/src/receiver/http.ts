import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { decodeTraces, OtlpDecodeError } from "../otlp/index.js";
import { type Encoding, encodeResponse, encodeStatus } from "../otlp/reply.js";
import type { Span } from "../span.js";
import { HttpError, readBody } from "./body.js";

/** A server that listens on `port` until it is closed. */
export interface RunningServer {
  readonly port: number;
  readonly close: () => Promise<void>;
}

const MEDIA_TYPES: Readonly<Record<Encoding, string>> = {
  protobuf: "application/x-protobuf",
  json: "application/json",
};

/** Codes of google.rpc.Code by HTTP status, for the body of an error response. */
const RPC_CODES: Readonly<Record<number, number>> = { 404: 5, 405: 12, 413: 8, 500: 13 };
const INVALID_ARGUMENT = 3;

/** Starts a server for OTLP over HTTP and calls `onSpans` with each batch. Metrics and logs are accepted and ignored. */
export async function listenHttp(
  options: { readonly host: string; readonly port: number; readonly maxBodyBytes: number },
  onSpans: (spans: readonly Span[]) => void,
): Promise<RunningServer> {
  const server = createServer((request, response) => {
    const encoding = encodingOf(request);
    handle(request, encoding, options.maxBodyBytes, onSpans)
      .then((body) => reply(response, 200, encoding, body))
      .catch((error: unknown) => replyWithError(response, encoding, error));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.host, resolve);
  });
  return { port: portOf(server), close: () => closeServer(server) };
}

async function handle(
  request: IncomingMessage,
  encoding: Encoding | undefined,
  maxBodyBytes: number,
  onSpans: (spans: readonly Span[]) => void,
): Promise<Buffer> {
  const path = (request.url ?? "").split("?", 1)[0] ?? "";
  if (!/^\/v1\/(traces|metrics|logs)$/.test(path)) throw new HttpError(404, `nothing at ${path}`);
  if (request.method !== "POST") throw new HttpError(405, `${request.method} is not POST`);
  if (encoding === undefined) {
    throw new HttpError(
      415,
      `content type "${request.headers["content-type"] ?? ""}" is not taken`,
    );
  }
  const body = await readBody(request, maxBodyBytes);
  if (path !== "/v1/traces")
    return encodeResponse({ spans: [], rejected: 0, reason: "" }, encoding);
  const decoded = decodeTraces(body, encoding, Date.now());
  onSpans(decoded.spans);
  return encodeResponse(decoded, encoding);
}

// Parameters are ignored: "application/json; charset=utf-8" is JSON.
function encodingOf(request: IncomingMessage): Encoding | undefined {
  const type = (request.headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase();
  if (type === MEDIA_TYPES.protobuf) return "protobuf";
  return type === MEDIA_TYPES.json ? "json" : undefined;
}

function replyWithError(
  response: ServerResponse,
  encoding: Encoding | undefined,
  error: unknown,
): void {
  const status = statusOf(error);
  const message = error instanceof Error ? error.message : String(error);
  if (status === 405) response.setHeader("allow", "POST");
  const body = encodeStatus(RPC_CODES[status] ?? INVALID_ARGUMENT, message, encoding ?? "json");
  reply(response, status, encoding, body);
}

function statusOf(error: unknown): number {
  if (error instanceof HttpError) return error.status;
  return error instanceof OtlpDecodeError ? 400 : 500;
}

function reply(
  response: ServerResponse,
  status: number,
  encoding: Encoding | undefined,
  body: Buffer,
): void {
  response.writeHead(status, {
    "content-type": MEDIA_TYPES[encoding ?? "json"],
    "content-length": body.length,
  });
  response.end(body);
}

function portOf(server: Server): number {
  const address: AddressInfo | string | null = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    // Exporters keep their connections open.
    server.closeAllConnections();
  });
}
