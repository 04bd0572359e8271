import type { IncomingMessage } from "node:http";
import { type Attributes, SpanKind } from "@opentelemetry/api";
import { property, type RpcMessage } from "./carrier/index.js";

/** The name, kind and attributes of a span that is about to start. */
interface SpanStart {
  readonly name: string;
  readonly kind: SpanKind;
  readonly attributes: Attributes;
}

// HTTP

const KNOWN_METHODS: ReadonlySet<string> = new Set([
  "CONNECT",
  "DELETE",
  "GET",
  "HEAD",
  "OPTIONS",
  "PATCH",
  "POST",
  "PUT",
  "QUERY",
  "TRACE",
]);
// Of a host name, by RFC 1035.
const MAX_HOST_LENGTH = 255;

/** Describes the span of a request whose route is not known yet. The query is left out, since it may hold secrets. */
export function httpSpanStart(request: IncomingMessage): SpanStart {
  const { method = "GET", headers, socket } = request;
  const known = KNOWN_METHODS.has(method);
  const attributes: Attributes = {
    "http.request.method": known ? method : "_OTHER",
    "url.path": requestPath(request),
    "url.scheme": property(socket, "encrypted") === true ? "https" : "http",
  };
  if (!known) attributes["http.request.method_original"] = method;
  const userAgent = headers["user-agent"];
  if (userAgent !== undefined) attributes["user_agent.original"] = userAgent;
  addServerAddress(attributes, headers.host ?? headers[":authority"]);
  return { name: known ? method : "HTTP", kind: SpanKind.SERVER, attributes };
}

/** Returns the span name of a request whose route is known. */
export function httpSpanName(request: IncomingMessage, route: string): string {
  const { method = "GET" } = request;
  return `${KNOWN_METHODS.has(method) ? method : "HTTP"} ${route}`;
}

/** Returns the attributes of a request that has ended; no status where the caller left before the response. */
export function httpEndAttributes(
  route: string | undefined,
  status: number | undefined,
): Attributes {
  const attributes: Attributes = {};
  if (route !== undefined) attributes["http.route"] = route;
  if (status !== undefined) attributes["http.response.status_code"] = status;
  return attributes;
}

/** Returns the path of a request without its query. */
export function requestPath(request: IncomingMessage): string {
  const url = request.url ?? "/";
  const query = url.indexOf("?");
  return query < 0 ? url : url.slice(0, query);
}

// The port follows the last colon, unless that is inside the brackets of an IPv6 address: `[::1]:3000`.
function addServerAddress(attributes: Attributes, host: string | string[] | undefined): void {
  if (typeof host !== "string" || host === "" || host.length > MAX_HOST_LENGTH) return;
  const colon = host.lastIndexOf(":");
  if (colon <= host.lastIndexOf("]")) {
    attributes["server.address"] = host;
    return;
  }
  attributes["server.address"] = host.slice(0, colon);
  const port = Number(host.slice(colon + 1));
  if (Number.isInteger(port) && port > 0) attributes["server.port"] = port;
}

// Messages and calls

/** As much as we read of a server of Nest; the message itself does not know it. */
export interface RpcServer {
  readonly groupId?: unknown;
  readonly clientId?: unknown;
  readonly getHandlerByPattern?: unknown;
}

/**
 * Describes the span of a message or call whose handler is about to run.
 *
 * @param isEvent - returns true when the handler gives no reply; called only where the transport does not tell
 */
export function rpcSpanStart(
  message: RpcMessage,
  server: RpcServer,
  isEvent: () => boolean,
): SpanStart {
  if (message.transport === "grpc") return grpcSpanStart(message.destination);
  if (message.transport === "kafka") return kafkaSpanStart(message, server);
  const { transport, destination } = message;
  return isEvent()
    ? {
        name: boundedName(`process ${destination}`),
        kind: SpanKind.CONSUMER,
        attributes: {
          "messaging.system.name": transport,
          "messaging.operation.name": "process",
          "messaging.operation.type": "process",
          "messaging.destination.name": destination,
        },
      }
    : {
        name: boundedName(destination),
        kind: SpanKind.SERVER,
        attributes: { "rpc.system.name": `nestjs_${transport}`, "rpc.method": destination },
      };
}

// Bounded, because topics of MQTT and subjects of NATS that match a wildcard have any length.
function boundedName(name: string): string {
  return name.slice(0, 200);
}

function kafkaSpanStart({ destination, identity }: RpcMessage, server: RpcServer): SpanStart {
  const attributes: Attributes = {
    "messaging.system.name": "kafka",
    "messaging.operation.name": "process",
    "messaging.operation.type": "process",
    "messaging.destination.name": destination,
  };
  // Partition and offset identify the record on the sender's side too.
  if ("getPartition" in identity && typeof identity.getPartition === "function") {
    attributes["messaging.destination.partition.id"] = String(identity.getPartition());
  }
  if ("getMessage" in identity && typeof identity.getMessage === "function") {
    const record: unknown = identity.getMessage();
    const offset = Number(property(record, "offset") ?? Number.NaN);
    if (Number.isSafeInteger(offset)) attributes["kafka.offset"] = offset;
    if (property(record, "value") === null) attributes["kafka.message.tombstone"] = true;
  }
  if (typeof server.groupId === "string") {
    attributes["messaging.consumer.group.name"] = server.groupId;
  }
  if (typeof server.clientId === "string") attributes["messaging.client.id"] = server.clientId;
  return { name: `process ${destination}`, kind: SpanKind.CONSUMER, attributes };
}

function grpcSpanStart(path: string): SpanStart {
  const method = path.startsWith("/") ? path.slice(1) : path;
  return {
    name: method === "" ? "grpc" : method,
    kind: SpanKind.SERVER,
    attributes:
      method === ""
        ? { "rpc.system.name": "grpc" }
        : { "rpc.system.name": "grpc", "rpc.method": method },
  };
}

// Together these identify a call or record among those that one process handles at a time, or nearly so.
const IDENTIFYING_ATTRIBUTES = [
  "rpc.method",
  "messaging.destination.name",
  "messaging.destination.partition.id",
  "kafka.offset",
];

/**
 * True when the active span is another instrumentation's for the very message that is about to be handled. It goes
 * by attributes, for messages without a sender to compare, so only for gRPC and Kafka, which have enough of them.
 */
export function identifiesMessage(span: unknown, { kind, attributes }: SpanStart): boolean {
  if (property(span, "kind") !== kind) return false;
  // A field of the SDK's span, on both lines. The API has no way to read attributes.
  const spanAttributes = property(span, "attributes");
  return (
    (attributes["rpc.system.name"] === "grpc" || attributes["kafka.offset"] !== undefined) &&
    IDENTIFYING_ATTRIBUTES.every((name) => property(spanAttributes, name) === attributes[name])
  );
}

// In the order of their numbers: https://grpc.io/docs/guides/status-codes/
const GRPC_STATUS_NAMES = [
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
const GRPC_SERVER_ERRORS: ReadonlySet<string> = new Set([
  "UNKNOWN",
  "DEADLINE_EXCEEDED",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
]);

/** Returns the name of a gRPC status code; `UNKNOWN` for a number that gRPC does not define, as its clients do. */
export function grpcStatusName(code: number): string {
  return GRPC_STATUS_NAMES[code] ?? "UNKNOWN";
}

/** Returns the attributes of a gRPC call that has ended with this status. */
export function grpcEndAttributes(code: string): Attributes {
  return { "rpc.status_code": code };
}

/** True for a status that the conventions count as an error of the server. */
export function isGrpcServerError(code: string): boolean {
  return GRPC_SERVER_ERRORS.has(code);
}
