import type { IncomingMessage } from "node:http";
import { type Attributes, SpanKind } from "@opentelemetry/api";
import { property, type RpcMessage } from "./carrier/index.js";

/** The name of a span with what is known at its start. */
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
// Longer ones are no names of hosts: RFC 1035.
const MAX_HOST_LENGTH = 255;

/** A request, before its route is known. The query is left out: it is where secrets are. */
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

/** The name of a request's span when its route is known. */
export function httpSpanName(request: IncomingMessage, route: string): string {
  const { method = "GET" } = request;
  return `${KNOWN_METHODS.has(method) ? method : "HTTP"} ${route}`;
}

/** What is known of a request in the end. No status: nothing was answered, the caller had gone. */
export function httpEndAttributes(
  route: string | undefined,
  status: number | undefined,
): Attributes {
  const attributes: Attributes = {};
  if (route !== undefined) attributes["http.route"] = route;
  if (status !== undefined) attributes["http.response.status_code"] = status;
  return attributes;
}

/** The path of a request without its query. */
export function requestPath(request: IncomingMessage): string {
  const url = request.url ?? "/";
  const query = url.indexOf("?");
  return query < 0 ? url : url.slice(0, query);
}

// `Host: [::1]:3000` has colons of its own.
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

/** What Nest's server knows and a message does not. */
export interface RpcServer {
  readonly groupId?: unknown;
  readonly clientId?: unknown;
  readonly getHandlerByPattern?: unknown;
}

/**
 * A message or call whose handler is about to run.
 *
 * @param isEvent - asked only where the transport does not say it
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

// Wildcard subjects of MQTT and NATS are as long as a stranger likes.
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
  // Partition and offset are what finds the same record on the sender's side.
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

// What no two calls or records of one process have in common while they are worked on, or nearly so.
const IDENTIFYING_ATTRIBUTES = [
  "rpc.method",
  "messaging.destination.name",
  "messaging.destination.partition.id",
  "kafka.offset",
];

/**
 * Whether somebody else's span is about the very call or record that is about to begin: a call without a sender
 * that `@traceferry/grpc` has a span for already. Only gRPC and Kafka say enough of themselves.
 */
export function isSpanForMessage(span: unknown, { kind, attributes }: SpanStart): boolean {
  if (property(span, "kind") !== kind) return false;
  // The SDK's own field, of both lines; the API has no way to ask for attributes.
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

/** The name of a gRPC status code; a number that gRPC does not know counts as `UNKNOWN`, as its peers take it. */
export function grpcStatusName(code: number): string {
  return GRPC_STATUS_NAMES[code] ?? "UNKNOWN";
}

/** How a call ended. */
export function grpcEndAttributes(code: string): Attributes {
  return { "rpc.status_code": code };
}

/** Whether a status is the server's failure: the others are answers. */
export function isGrpcServerError(code: string): boolean {
  return GRPC_SERVER_ERRORS.has(code);
}
