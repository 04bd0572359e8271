import type { Span } from "../span.js";

/** The address of a call or message, read from a span by the old and the stable semantic conventions. */
export interface Address {
  /** "kafka", "bullmq", "grpc", "http" ...; undefined when the span has no such attribute. */
  readonly system: string | undefined;
  /** True for a message, which is processed later; false for a call, which waits. */
  readonly messaging: boolean;
  /** Topic, queue, or "pkg.Service/Method"; without such an attribute, the span's name without its verb. */
  readonly destination: string;
  /** HTTP only: "POST /path". */
  readonly route: string | undefined;
  /** HTTP only: "host:port", with "localhost" for every loopback address and without the scheme's default port. */
  readonly host: string | undefined;
  /** Messaging only: "send", "process", "receive" ... */
  readonly operation: string | undefined;
}

/** Reads the address of a span. */
export function addressOf(span: Span): Address {
  const messaging = read(span, "messaging.system.name", "messaging.system");
  const queue = read(span, "bullmq.queue.name");
  if (messaging !== undefined || queue !== undefined) {
    const name = read(span, "messaging.destination.name", "messaging.destination") ?? queue;
    return {
      ...UNKNOWN_ADDRESS,
      system: messaging?.toLowerCase() ?? "bullmq",
      messaging: true,
      destination: name ?? nameWithoutVerb(span.name),
      operation: read(
        span,
        "messaging.operation.type",
        "messaging.operation",
        "messaging.operation.name",
      ),
    };
  }
  const rpc = read(span, "rpc.system.name", "rpc.system");
  if (rpc !== undefined) {
    return { ...UNKNOWN_ADDRESS, system: rpc.toLowerCase(), destination: rpcMethodOf(span) };
  }
  const mcp = read(span, "mcp.method.name");
  if (mcp !== undefined) return { ...UNKNOWN_ADDRESS, system: "mcp", destination: mcp };
  const method = read(span, "http.request.method", "http.method");
  if (method !== undefined) return httpAddressOf(span, method);
  if (read(span, "db.system.name", "db.system") !== undefined) {
    return { ...UNKNOWN_ADDRESS, system: "db", destination: nameWithoutVerb(span.name) };
  }
  const isMessage = span.kind === "PRODUCER" || span.kind === "CONSUMER";
  return { ...UNKNOWN_ADDRESS, messaging: isMessage, destination: nameWithoutVerb(span.name) };
}

/** True when the entry span may be the callee of the exit span. */
export function meets(exit: Address, entry: Address): boolean {
  if (exit.system !== undefined && entry.system !== undefined && exit.system !== entry.system) {
    return false;
  }
  if (exit.system === "http" && entry.system === "http") {
    // A proxy changes the host more often than the path.
    if (exit.route !== undefined && entry.route !== undefined) return exit.route === entry.route;
    return exit.host !== undefined && exit.host === entry.host;
  }
  return exit.destination !== "" && exit.destination === entry.destination;
}

/** True when the span's context is sent to another service. Polls, settlements and database calls send none. */
export function sendsOn(span: Span, address: Address): boolean {
  if (span.kind !== "CLIENT" && span.kind !== "PRODUCER") return false;
  return address.system !== "db" && !LOCAL_OPERATIONS.has(address.operation ?? "");
}

/** Names a hop by its transport and destination: "grpc shop.v1.Orders/Place", "kafka orders". */
export function viaOf(span: Span): string {
  const { system, destination, route } = addressOf(span);
  const path = read(span, "http.route") ?? route?.slice(route.indexOf(" ") + 1);
  if (system === "http") {
    const method = read(span, "http.request.method", "http.method") ?? "";
    return ["http", method, path ?? ""].filter((part) => part !== "").join(" ");
  }
  return system === undefined ? span.name : `${system} ${destination}`.trim();
}

/** A key that both spans of one hop have, and no other hop: a record's partition and offset, a message's id. */
export function ownKeyOf(span: Span, address: Address): string | undefined {
  const partition = read(
    span,
    "messaging.destination.partition.id",
    "messaging.kafka.destination.partition",
    "messaging.kafka.partition",
  );
  const offset = read(
    span,
    "kafka.offset",
    "messaging.kafka.offset",
    "messaging.kafka.message.offset",
  );
  if (partition !== undefined && offset !== undefined) {
    return JSON.stringify(["offset", address.destination, partition, offset]);
  }
  const id = read(span, "messaging.message.id", "messaging.message_id", "bullmq.job.id");
  if (address.messaging && id !== undefined) {
    return JSON.stringify(["id", address.system, address.destination, id]);
  }
  // The request id is unique within its session only.
  const session = read(span, "mcp.session.id");
  const request = read(span, "jsonrpc.request.id", "rpc.jsonrpc.request_id");
  if (session !== undefined && request !== undefined) {
    return JSON.stringify(["mcp", session, request]);
  }
  return undefined;
}

/** The first of these attributes that is set, as text. */
export function read(span: Span, ...names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = span.attributes[name];
    if (typeof value === "string" && value !== "") return value;
    if (typeof value === "number" || typeof value === "bigint") return String(value);
  }
  return undefined;
}

const UNKNOWN_ADDRESS: Address = {
  system: undefined,
  messaging: false,
  destination: "",
  route: undefined,
  host: undefined,
  operation: undefined,
};

/** Messaging operations that send no context. */
const LOCAL_OPERATIONS = new Set([
  "receive",
  "poll",
  "process",
  "deliver",
  "settle",
  "ack",
  "nack",
  "commit",
  "complete",
]);

// Stable conventions: "pkg.Service/Method". Old ones: an attribute for the service, or only the span's name.
function rpcMethodOf(span: Span): string {
  const method = read(span, "rpc.method");
  if (method?.includes("/")) return method.replace(/^\//, "");
  const service = read(span, "rpc.service");
  if (service !== undefined && method !== undefined) return `${service}/${method}`;
  return nameWithoutVerb(span.name);
}

function httpAddressOf(span: Span, method: string): Address {
  const url = parseUrl(read(span, "url.full", "http.url"));
  const path = read(span, "url.path", "http.target")?.split("?", 1)[0] ?? url?.pathname;
  const scheme = read(span, "url.scheme", "http.scheme") ?? url?.protocol.replace(":", "");
  const host = hostOf(span) ?? url?.host;
  return {
    ...UNKNOWN_ADDRESS,
    system: "http",
    destination: path ?? "",
    route: path === undefined ? undefined : `${method.toUpperCase()} ${path}`,
    host: host === undefined ? undefined : normalHost(host, scheme),
  };
}

function hostOf(span: Span): string | undefined {
  const name = read(span, "server.address", "net.peer.name", "net.host.name", "http.host");
  const port = read(span, "server.port", "net.peer.port", "net.host.port");
  return name === undefined || port === undefined ? name : `${name}:${port}`;
}

function parseUrl(url: string | undefined): URL | undefined {
  return url !== undefined && URL.canParse(url) ? new URL(url) : undefined;
}

function normalHost(host: string, scheme: string | undefined): string {
  const defaultPort = scheme === "https" ? ":443" : ":80";
  const lower = host.toLowerCase();
  const short = lower.endsWith(defaultPort) ? lower.slice(0, -defaultPort.length) : lower;
  return short.replace(/^(127\.0\.0\.1|\[?::1\]?)(?=:\d+$|$)/, "localhost");
}

// Verbs and prefixes of instrumentations: "grpc.pkg.Svc/M", "/pkg.Svc/M", "Sent.pkg.Svc/M", "send orders", "orders send".
function nameWithoutVerb(name: string): string {
  return name
    .slice(0, 512)
    .trim()
    .replace(/^(grpc\.|sent\.|recv\.|\/)/i, "")
    .replace(/^(send|publish|create|add|produce|process|receive|poll|deliver|consume) (?=\S)/i, "")
    .replace(/(?<=\S) (send|publish|create|produce|process|receive|poll|deliver|consume)$/i, "");
}
