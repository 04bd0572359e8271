import { createServer, type ServerHttp2Stream } from "node:http2";
import { PLACE } from "./loopback.test-support.js";

/** A method that the echo server does not have. */
export const NOWHERE = "/shop.v1.Orders/Nowhere";
/** A method that the echo server ends with `OK`, without a response. */
export const NOTHING = "/shop.v1.Orders/Nothing";

// The key of the request among the headers of a response. No call can have such a header.
const REQUEST = ":request";

type Pairs = (readonly [key: string, value: string])[];

interface EchoServer extends AsyncDisposable {
  readonly port: number;
}

/**
 * Starts a server of plain HTTP/2, without grpc-js and without tracing. Its response to any unary call is the
 * headers of the call, in their order and not joined, with the request. It waits for the whole request of `Place`
 * only.
 */
export async function echoServer(): Promise<EchoServer> {
  const server = createServer();
  server.on("stream", (http2Stream, headers, _flags, rawHeaders: string[]) => {
    respond(http2Stream, headers[":path"], rawHeaders);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: portOf(server.address()),
    [Symbol.asyncDispose]: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
      }),
  };
}

function respond(
  http2Stream: ServerHttp2Stream,
  path: string | undefined,
  rawHeaders: readonly string[],
): void {
  const request: Buffer[] = [];
  http2Stream.on("data", (chunk: Buffer) => request.push(chunk));
  const headers = { ":status": 200, "content-type": "application/grpc" };
  if (path === NOWHERE) {
    const unimplemented = { ...headers, "grpc-status": "12", "grpc-message": "" };
    http2Stream.respond(unimplemented, { endStream: true });
    return;
  }
  http2Stream.respond(headers, { waitForTrailers: true });
  http2Stream.on("wantTrailers", () => http2Stream.sendTrailers({ "grpc-status": "0" }));
  if (path === NOTHING) {
    http2Stream.end();
    return;
  }
  const echo = () => {
    const text = Buffer.concat(request).subarray(5).toString();
    const body = Buffer.from(JSON.stringify([...toPairs(rawHeaders), [REQUEST, text]]));
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(body.length, 1);
    http2Stream.end(Buffer.concat([prefix, body]));
  };
  if (path === PLACE) http2Stream.once("end", echo);
  else echo();
}

/** Returns the port of a TCP address. */
export function portOf(address: object | string | null): number {
  if (typeof address === "object" && address !== null && "port" in address) {
    return Number(address.port);
  }
  throw new TypeError(`not a TCP address: ${address}`);
}

function toPairs(rawHeaders: readonly string[]): Pairs {
  const pairs: Pairs = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    pairs.push([rawHeaders[index] ?? "", rawHeaders[index + 1] ?? ""]);
  }
  return pairs;
}

/** Returns the request that an echo server's response holds. */
export function requestIn(response: string): string | undefined {
  return parseResponse(response).find(([key]) => key === REQUEST)?.[1];
}

/** Returns the headers that an echo server's response holds, without those that every gRPC call has. */
export function headersIn(response: string): Pairs {
  return parseResponse(response).filter(([key]) => !isTransportHeader(key));
}

function parseResponse(response: string): Pairs {
  const parsed: unknown = JSON.parse(response);
  if (!Array.isArray(parsed)) throw new TypeError(`not a list of headers: ${response}`);
  return parsed
    .map((pair: unknown) => (Array.isArray(pair) ? pair.map(String) : []))
    .map(([key = "", value = ""]) => [key, value]);
}

function isTransportHeader(key: string): boolean {
  return key.startsWith(":") || key.startsWith("grpc-") || TRANSPORT_HEADERS.has(key);
}

const TRANSPORT_HEADERS: ReadonlySet<string> = new Set([
  "te",
  "content-type",
  "user-agent",
  "accept-encoding",
]);
