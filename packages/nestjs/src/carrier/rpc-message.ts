import type { MetadataLike } from "@traceferry/grpc/carrier";

/** The transports of Nest whose contexts show the headers of a message. */
type Transport = "grpc" | "kafka" | "rabbitmq" | "nats" | "mqtt" | "redis" | "tcp";

/** One message or call of a transport, as far as its RPC context in Nest shows it. */
export interface RpcMessage {
  readonly transport: Transport;
  /** Topic, channel, subject or pattern; for gRPC the path, empty where only the metadata is known. */
  readonly destination: string;
  /** The carrier of the sender's fields, unchecked: a transport or a stranger made it. */
  readonly headers: unknown;
  /** The object that all views of this message share: for gRPC, hooks and interceptors get different ones. */
  readonly identity: object;
}

/**
 * Reads the message out of what Nest hands to hooks and handlers: a `KafkaContext`, a `TcpContext` and so on, for
 * gRPC the call or its metadata alone. It goes by shape, because this package also loads in applications without
 * `@nestjs/microservices`. Returns undefined for a transport that is not known.
 */
export function toRpcMessage(rpc: unknown): RpcMessage | undefined {
  if (typeof rpc !== "object" || rpc === null) return undefined;
  if ("getTopic" in rpc) return "getMessage" in rpc ? kafkaMessage(rpc) : mqttMessage(rpc);
  if ("metadata" in rpc && "path" in rpc) return grpcMessage(rpc.metadata, rpc.path);
  if ("getMap" in rpc) return grpcMessage(rpc, "");
  if ("getChannelRef" in rpc) return rabbitmqMessage(rpc);
  if ("getSubject" in rpc) {
    const headers = callMethod(rpc, "getHeaders");
    return createMessage("nats", callMethod(rpc, "getSubject"), headers, rpc);
  }
  // Contexts of TCP and Redis give the metadata of the packet since Nest 12.0.4.
  if ("getChannel" in rpc) {
    const metadata = callMethod(rpc, "getMetadata");
    return createMessage("redis", callMethod(rpc, "getChannel"), metadata, rpc);
  }
  if ("getSocketRef" in rpc) {
    const metadata = callMethod(rpc, "getMetadata");
    return createMessage("tcp", callMethod(rpc, "getPattern"), metadata, rpc);
  }
  return undefined;
}

function createMessage(
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

function grpcMessage(metadata: unknown, path: unknown): RpcMessage | undefined {
  return isGrpcMetadata(metadata) ? createMessage("grpc", path, metadata, metadata) : undefined;
}

/** Recognises the `Metadata` of grpc-js by its shape, because there may be several copies of grpc-js. */
export function isGrpcMetadata(value: unknown): value is MetadataLike {
  return typeof value === "object" && value !== null && "getMap" in value && "clone" in value;
}

function kafkaMessage(rpc: object): RpcMessage {
  const headers = property(callMethod(rpc, "getMessage"), "headers");
  return createMessage("kafka", callMethod(rpc, "getTopic"), headers, rpc);
}

// MQTT 3.1.1 has no properties.
function mqttMessage(rpc: object): RpcMessage {
  const properties = property(callMethod(rpc, "getPacket"), "properties");
  const headers = property(properties, "userProperties");
  return createMessage("mqtt", callMethod(rpc, "getTopic"), headers, rpc);
}

function rabbitmqMessage(rpc: object): RpcMessage {
  const headers = property(property(callMethod(rpc, "getMessage"), "properties"), "headers");
  return createMessage("rabbitmq", callMethod(rpc, "getPattern"), headers, rpc);
}

/** Calls a method without arguments; returns undefined where the object has no such method. */
export function callMethod(target: object, name: string): unknown {
  const method: unknown = Reflect.get(target, name);
  return typeof method === "function" ? Reflect.apply(method, target, []) : undefined;
}

/** Reads a property of a value that may not be an object; undefined where it is none. */
export function property(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
