import { property } from "../carrier/index.js";

/** As much as we use of the HTTP/2 stream under a gRPC call. */
export interface Http2Stream {
  once(event: "close", listener: () => void): unknown;
  readonly destroyed: boolean;
}

// More interceptors than anybody nests; it only bounds the search.
const MAX_DEPTH = 50;

/**
 * Finds the HTTP/2 stream under a gRPC call. Only the stream knows which status was sent: Nest's hooks get none,
 * its interceptors do not see errors of guards nor results of exception filters, and a cancelled call reaches no
 * hook. The way to it leads through private fields of grpc-js, so it may be undefined in some version.
 */
export function findHttp2Stream(call: unknown): Http2Stream | undefined {
  let layer = property(call, "call");
  for (let depth = 0; depth < MAX_DEPTH && layer !== undefined; depth++) {
    const stream = property(layer, "stream");
    if (isHttp2Stream(stream)) return stream;
    layer = property(layer, "nextCall");
  }
  return undefined;
}

function isHttp2Stream(value: unknown): value is Http2Stream {
  return (
    typeof property(value, "once") === "function" &&
    typeof property(value, "destroyed") === "boolean"
  );
}

/** Reads the status code that was sent; undefined where none was, because the client cancelled. */
export function sentStatus(stream: Http2Stream): number | undefined {
  const sent =
    property(property(stream, "sentTrailers"), "grpc-status") ??
    property(property(stream, "sentHeaders"), "grpc-status");
  return sent === undefined ? undefined : Number(sent);
}
