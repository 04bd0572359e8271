import type { Attributes } from "@opentelemetry/api";
import type { Address } from "./address.js";

/** `package.Service/Method` for a path: the name of the span, and its `rpc.method`. */
export function methodOf(path: string): string {
  return path.startsWith("/") ? path.slice(1) : path;
}

/** What is known when a call begins, so that samplers see it. */
export function callAttributes(
  method: string,
  server: Address | undefined,
  peer?: Address,
): Attributes {
  const attributes: Attributes = { "rpc.system.name": "grpc", "rpc.method": method };
  if (server !== undefined) {
    attributes["server.address"] = server.address;
    if (server.port !== undefined) attributes["server.port"] = server.port;
  }
  return peer === undefined ? attributes : withPeer(attributes, peer);
}

/** What is known when a call has ended; `error.type` comes with the span's status. */
export function statusAttributes(status: string, peer?: Address): Attributes {
  const attributes: Attributes = { "rpc.status_code": status };
  return peer === undefined ? attributes : withPeer(attributes, peer);
}

function withPeer(attributes: Attributes, peer: Address): Attributes {
  attributes["network.peer.address"] = peer.address;
  if (peer.port !== undefined) attributes["network.peer.port"] = peer.port;
  return attributes;
}

// In the order of their numbers: https://grpc.io/docs/guides/status-codes/
const STATUS_NAMES: readonly string[] = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
];

/** The name of a status code; a number that gRPC does not know counts as `UNKNOWN`, as its peers take it. */
export function statusName(code: number): string {
  return STATUS_NAMES[code] ?? "UNKNOWN";
}

/** Whether a status is an error of the server's span; of a client's span, every status but `OK` is. */
export function isServerError(status: string): boolean {
  return SERVER_ERRORS.has(status);
}

// Semantic conventions for gRPC, "gRPC status": what is the caller's mistake is no error of the server.
const SERVER_ERRORS: ReadonlySet<string> = new Set([
  "UNKNOWN",
  "DEADLINE_EXCEEDED",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
]);
