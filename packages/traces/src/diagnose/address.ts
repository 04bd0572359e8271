import type { Span } from "../span.js";

/** What a span tells about where it went or what it answered, old and new conventions read alike. */
export interface Address {
  /** "kafka", "bullmq", "grpc", "http" ...; undefined when the span does not say. */
  readonly system: string | undefined;
  /** Whether the hop is a message that somebody takes up later, rather than a call that waits. */
  readonly messaging: boolean;
  /** Topic, queue, or "pkg.Service/Method"; for want of one, the span's name without its verb. */
  readonly destination: string;
  /** HTTP only: "POST /path". */
  readonly route: string | undefined;
  /** HTTP only: "host:port", loopback addresses alike, the scheme's own port left out. */
  readonly host: string | undefined;
  /** What messaging spans do: "send", "process", "receive" ... */
  readonly operation: string | undefined;
}

/** Reads the address of a span. */
export function addressOf(span: Span): Address {
  const messaging = read(span, "messaging.system.name", "messaging.system");
  const queue = read(span, "bullmq.queue.name");
  if (messaging !== undefined || queue !== undefined) {
    const name = read(span, "messaging.destination.name", "messaging.destination") ?? queue;
    return {
      ...nothing,
      system: messaging?.toLowerCase() ?? "bullmq",
      messaging: true,
      destination: name ?? bareName(span.name),
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
    return { ...nothing, system: rpc.toLowerCase(), destination: rpcMethodOf(span) };
  }
  const mcp = read(span, "mcp.method.name");
  if (mcp !== undefined) return { ...nothing, system: "mcp", destination: mcp };
  const method = read(span, "http.request.method", "http.method");
  if (method !== undefined) return httpAddressOf(span, method);
  if (read(span, "db.system.name", "db.system") !== undefined) {
    return { ...nothing, system: "db", destination: bareName(span.name) };
  }
  const messages = span.kind === "PRODUCER" || span.kind === "CONSUMER";
  return { ...nothing, messaging: messages, destination: bareName(span.name) };
}

/** Whether what went out there may be what came in here. */
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

/** Whether its context is one that travels: what polls, settles or asks a database sends nothing on. */
export function sendsOn(span: Span, address: Address): boolean {
  if (span.kind !== "CLIENT" && span.kind !== "PRODUCER") return false;
  return address.system !== "db" && !staysHome.has(address.operation ?? "");
}

/** The hop as a person would name it: "grpc jeeves.v1.Orchestrator/ExecutePipeline", "kafka orders". */
export function viaOf(span: Span): string {
  const { system, destination, route } = addressOf(span);
  const path = read(span, "http.route") ?? route?.slice(route.indexOf(" ") + 1);
  if (system === "http") {
    const method = read(span, "http.request.method", "http.method") ?? "";
    return ["http", method, path ?? ""].filter((part) => part !== "").join(" ");
  }
  return system === undefined ? span.name : `${system} ${destination}`.trim();
}

/** What both ends of one hop carry, and no other hop: a record's place in its log, a message's id. */
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
  // Unique within a session only.
  const session = read(span, "mcp.session.id");
  const request = read(span, "jsonrpc.request.id", "rpc.jsonrpc.request_id");
  if (session !== undefined && request !== undefined) {
    return JSON.stringify(["mcp", session, request]);
  }
  return undefined;
}

/** The first of the attributes that is there, as text. */
export function read(span: Span, ...names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = span.attributes[name];
    if (typeof value === "string" && value !== "") return value;
    if (typeof value === "number" || typeof value === "bigint") return String(value);
  }
  return undefined;
}

const nothing: Address = {
  system: undefined,
  messaging: false,
  destination: "",
  route: undefined,
  host: undefined,
  operation: undefined,
};

const staysHome = new Set([
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

// New: "pkg.Service/Method". Old: the service apart, or only in the span's name.
function rpcMethodOf(span: Span): string {
  const method = read(span, "rpc.method");
  if (method?.includes("/")) return method.replace(/^\//, "");
  const service = read(span, "rpc.service");
  if (service !== undefined && method !== undefined) return `${service}/${method}`;
  return bareName(span.name);
}

function httpAddressOf(span: Span, method: string): Address {
  const url = parsed(read(span, "url.full", "http.url"));
  const path = read(span, "url.path", "http.target")?.split("?", 1)[0] ?? url?.pathname;
  const scheme = read(span, "url.scheme", "http.scheme") ?? url?.protocol.replace(":", "");
  const name = read(span, "server.address", "net.peer.name", "net.host.name", "http.host");
  const port = read(span, "server.port", "net.peer.port", "net.host.port");
  const host = name === undefined ? url?.host : port === undefined ? name : `${name}:${port}`;
  return {
    ...nothing,
    system: "http",
    destination: path ?? "",
    route: path === undefined ? undefined : `${method.toUpperCase()} ${path}`,
    host: host === undefined ? undefined : normalHost(host, scheme),
  };
}

function parsed(url: string | undefined): URL | undefined {
  return url !== undefined && URL.canParse(url) ? new URL(url) : undefined;
}

function normalHost(host: string, scheme: string | undefined): string {
  const own = scheme === "https" ? ":443" : ":80";
  const short = host.toLowerCase();
  const bare = short.endsWith(own) ? short.slice(0, -own.length) : short;
  return bare.replace(/^(127\.0\.0\.1|\[?::1\]?)(?=:\d+$|$)/, "localhost");
}

// "grpc.pkg.Svc/M", "/pkg.Svc/M", "Sent.pkg.Svc/M", "send orders" and "orders send" all have one.
function bareName(name: string): string {
  return name
    .slice(0, 512)
    .trim()
    .replace(/^(grpc\.|sent\.|recv\.|\/)/i, "")
    .replace(/^(send|publish|create|add|produce|process|receive|poll|deliver|consume) (?=\S)/i, "")
    .replace(/(?<=\S) (send|publish|create|produce|process|receive|poll|deliver|consume)$/i, "");
}
