import type { Attributes } from "@opentelemetry/api";
import type { Address } from "./address.js";

/** Returns the path without its leading slash, `package.Service/Method`: the span's name and its `rpc.method`. */
export function methodOf(path: string): string {
  return path.startsWith("/") ? path.slice(1) : path;
}

/** Returns the attributes that a span has from its start, so that samplers see them. */
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
  return peer === undefined ? attributes : addPeer(attributes, peer);
}

/** Returns the attributes that a span gets at its end. `error.type` is set with the span's status, not here. */
export function statusAttributes(status: string, peer?: Address): Attributes {
  const attributes: Attributes = { "rpc.status_code": status };
  return peer === undefined ? attributes : addPeer(attributes, peer);
}

function addPeer(attributes: Attributes, peer: Address): Attributes {
  attributes["network.peer.address"] = peer.address;
  if (peer.port !== undefined) attributes["network.peer.port"] = peer.port;
  return attributes;
}

// The index is the status code: https://grpc.io/docs/guides/status-codes/
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

/** Returns the name of a status code, `UNKNOWN` for a number that gRPC does not define, as other peers do. */
export function statusName(code: number): string {
  return STATUS_NAMES[code] ?? "UNKNOWN";
}

/** True for a status that makes a SERVER span an error. On a CLIENT span every status but `OK` is one. */
export function isServerError(status: string): boolean {
  return SERVER_ERRORS.has(status);
}

// Semantic conventions for gRPC, "gRPC status": the client's mistakes are not errors of the server.
const SERVER_ERRORS: ReadonlySet<string> = new Set([
  "UNKNOWN",
  "DEADLINE_EXCEEDED",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
]);
