import type { MetadataLike } from "@traceferry/grpc/carrier";

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
export function isMetadata(value: unknown): value is MetadataLike {
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

export function ask(context: object, method: string): unknown {
  const found: unknown = Reflect.get(context, method);
  return typeof found === "function" ? Reflect.apply(found, context, []) : undefined;
}

/** A property of what may be no object. */
export function property(of: unknown, name: string): unknown {
  return typeof of === "object" && of !== null ? Reflect.get(of, name) : undefined;
}
