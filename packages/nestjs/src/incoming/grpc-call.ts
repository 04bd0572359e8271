import { property } from "../carrier/index.js";

/** As much as matters here of the HTTP/2 stream under a call. */
export interface Http2Stream {
  once(event: "close", listener: () => void): unknown;
  readonly destroyed: boolean;
}

// Interceptors of the user's, one inside the other.
const MAX_DEPTH = 50;

/**
 * Finds the stream under a call. Nothing else knows which status was sent: Nest's hooks get none, its
 * interceptors do not see what guards throw and what filters make of it, and a call whose client went away
 * reaches no hook. Its fields are private to grpc-js, so that one day it may not be found.
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

/** The status that was sent, by number; undefined when none was: the client went away. */
export function sentStatus(stream: Http2Stream): number | undefined {
  const sent =
    property(property(stream, "sentTrailers"), "grpc-status") ??
    property(property(stream, "sentHeaders"), "grpc-status");
  return sent === undefined ? undefined : Number(sent);
}
