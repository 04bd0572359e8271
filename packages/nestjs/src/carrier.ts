import type { IncomingHttpHeaders } from "node:http";
import { type Context, context } from "@opentelemetry/api";
import { Instrumenter, SanitizingGetter, withoutSpan } from "@traceferry/core";
import { type MetadataLike, metadataGetter } from "@traceferry/grpc/carrier";
import { kafkaGetter } from "@traceferry/kafka";
import { instrumenterSettings } from "./options.js";

/** The transports of Nest whose messages say where they come from. */
type Transport = "grpc" | "kafka" | "rabbitmq" | "nats" | "mqtt" | "redis" | "tcp";

/** One message of a transport, as far as its context in Nest tells. */
export interface RpcMessage {
  readonly transport: Transport;
  /** Topic, channel, subject or pattern; for gRPC the path, empty where only the metadata is known. */
  readonly destination: string;
  /** Where the sender's fields are: whatever the transport or a stranger put there. */
  readonly headers: unknown;
  /** What every view of this message has in common: hooks and interceptors get different objects for gRPC. */
  readonly identity: object;
}

/**
 * Recognises what Nest hands to hooks and handlers, by its shape: this package loads in applications without
 * `@nestjs/microservices`. For gRPC that is the call, or its metadata alone.
 */
export function rpcMessage(context: unknown): RpcMessage | undefined {
  if (typeof context !== "object" || context === null) return undefined;
  if ("getTopic" in context) return "getMessage" in context ? kafka(context) : mqtt(context);
  if ("metadata" in context && "path" in context) return grpc(context.metadata, context.path);
  if ("getMap" in context) return grpc(context, "");
  if ("getChannelRef" in context) return rabbitmq(context);
  if ("getSubject" in context) {
    const headers = ask(context, "getHeaders");
    return message("nats", ask(context, "getSubject"), headers, context);
  }
  // TCP and Redis: the metadata of the packet, since 12.0.4.
  if ("getChannel" in context) {
    return message("redis", ask(context, "getChannel"), ask(context, "getMetadata"), context);
  }
  if ("getSocketRef" in context) {
    return message("tcp", ask(context, "getPattern"), ask(context, "getMetadata"), context);
  }
  return undefined;
}

function message(
  transport: Transport,
  destination: unknown,
  headers: unknown,
  identity: object,
): RpcMessage {
  return {
    transport,
    destination: typeof destination === "string" ? destination : "",
    headers,
    identity,
  };
}

function grpc(metadata: unknown, path: unknown): RpcMessage | undefined {
  return isMetadata(metadata) ? message("grpc", path, metadata, metadata) : undefined;
}

// By shape: there may be several copies of grpc-js.
function isMetadata(value: unknown): value is MetadataLike {
  return typeof value === "object" && value !== null && "getMap" in value && "clone" in value;
}

function kafka(context: object): RpcMessage {
  const headers = property(ask(context, "getMessage"), "headers");
  return message("kafka", ask(context, "getTopic"), headers, context);
}

// Version 3.1.1 of MQTT has no properties.
function mqtt(context: object): RpcMessage {
  const properties = property(ask(context, "getPacket"), "properties");
  const headers = property(properties, "userProperties");
  return message("mqtt", ask(context, "getTopic"), headers, context);
}

function rabbitmq(context: object): RpcMessage {
  const headers = property(property(ask(context, "getMessage"), "properties"), "headers");
  return message("rabbitmq", ask(context, "getPattern"), headers, context);
}

function ask(context: object, method: string): unknown {
  const found: unknown = Reflect.get(context, method);
  return typeof found === "function" ? Reflect.apply(found, context, []) : undefined;
}

/** A property of what may be no object. */
export function property(of: unknown, name: string): unknown {
  return typeof of === "object" && of !== null ? Reflect.get(of, name) : undefined;
}

/** Reads what came with a message, whatever its transport. */
export const rpcGetter = new SanitizingGetter<RpcMessage>({
  read: ({ transport, headers }, key) => {
    if (transport === "kafka") return kafkaGetter.raw(headers, key);
    if (isMetadata(headers)) return metadataGetter.raw(headers, key);
    return transport === "nats" ? readNats(headers, key) : readRecord(headers, key);
  },
  keys: ({ transport, headers }) => {
    if (transport === "kafka") return kafkaGetter.keys(headers);
    if (isMetadata(headers)) return metadataGetter.keys(headers);
    return transport === "nats" ? natsKeys(headers) : recordKeys(headers);
  },
});

/** Reads HTTP headers: Node has folded their case, and joined what was repeated. */
export const httpGetter = new SanitizingGetter<IncomingHttpHeaders>({
  read: (headers, key) => headers[key],
  keys: (headers) => Object.keys(headers),
});

/** All values whose key is this one in any letter case. */
function readRecord(record: unknown, key: string): unknown {
  const values: unknown[] = [];
  for (const name of recordKeys(record)) {
    if (name.length === key.length && name.toLowerCase() === key) {
      const value = property(record, name);
      if (Array.isArray(value)) values.push(...value);
      else values.push(value);
    }
  }
  return values;
}

// Strangers write JSON: the metadata of a packet may be a text or a list.
function recordKeys(record: unknown): string[] {
  return typeof record === "object" && record !== null && !Array.isArray(record)
    ? Object.keys(record)
    : [];
}

// Go writes `Traceparent`, and `get` of the NATS client looks for one spelling only.
function readNats(headers: unknown, key: string): unknown {
  if (typeof headers !== "object" || headers === null || !("values" in headers)) return undefined;
  if (typeof headers.values !== "function") return undefined;
  const values: unknown[] = [];
  for (const name of natsKeys(headers)) {
    if (name.toLowerCase() !== key) continue;
    const found: unknown = headers.values(name);
    if (Array.isArray(found)) values.push(...found);
  }
  return values;
}

function natsKeys(headers: unknown): string[] {
  if (typeof headers !== "object" || headers === null) return [];
  const keys = ask(headers, "keys");
  return Array.isArray(keys) ? keys.filter((key) => typeof key === "string") : [];
}

const instrumenter = new Instrumenter<unknown>(instrumenterSettings(true));

/**
 * Gives the context that came with a message, by the global propagator: the sender's span and baggage in `base`,
 * whose own span and baggage are gone also where no sender is found.
 *
 * @param rpc - what Nest gives a handler as the context of its message, `KafkaContext` for one; for gRPC the
 *   metadata or the call
 * @param base - what else to keep; default the active context
 */
export function extractRpcContext(rpc: unknown, base: Context = context.active()): Context {
  // A span for this very message may be in it, ours for one; asked for is the sender's.
  const spanless = withoutSpan(base);
  try {
    const message = rpcMessage(rpc);
    if (message !== undefined)
      return instrumenter.extract(message, rpcGetter, rpc, spanless).parent;
  } catch (error) {
    instrumenter.reporter.fault("extract", error);
  }
  return spanless;
}
