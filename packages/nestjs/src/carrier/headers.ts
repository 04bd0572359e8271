import type { IncomingHttpHeaders } from "node:http";
import { type Injection, SanitizingGetter } from "@traceferry/core";
import { metadataGetter } from "@traceferry/grpc/carrier";
import { kafkaGetter } from "@traceferry/kafka";
import { callMethod, isGrpcMetadata, property, type RpcMessage } from "./rpc-message.js";

/** Reads the headers of a message or call, by the rules of its transport. */
export const rpcGetter = new SanitizingGetter<RpcMessage>({
  read: ({ transport, headers }, key) => {
    if (transport === "kafka") return kafkaGetter.raw(headers, key);
    if (isGrpcMetadata(headers)) return metadataGetter.raw(headers, key);
    return transport === "nats" ? readNatsHeaders(headers, key) : readPlainHeaders(headers, key);
  },
  keys: ({ transport, headers }) => {
    if (transport === "kafka") return kafkaGetter.keys(headers);
    if (isGrpcMetadata(headers)) return metadataGetter.keys(headers);
    return transport === "nats" ? natsHeaderKeys(headers) : plainHeaderKeys(headers);
  },
});

/** Reads HTTP headers, whose names Node has folded to lower case, and whose repeated values it has joined. */
export const httpGetter = new SanitizingGetter<IncomingHttpHeaders>({
  read: (headers, key) => headers[key],
  keys: (headers) => Object.keys(headers),
});

// Returns all values under the key, which is lower-case, in any letter case. Senders do not agree on one.
function readPlainHeaders(headers: unknown, key: string): unknown {
  const values: unknown[] = [];
  for (const name of plainHeaderKeys(headers)) {
    if (name.length === key.length && name.toLowerCase() === key) {
      const value = property(headers, name);
      if (Array.isArray(value)) values.push(...value);
      else values.push(value);
    }
  }
  return values;
}

// The metadata of a packet is JSON that a stranger wrote, and may be a text or a list.
function plainHeaderKeys(headers: unknown): string[] {
  return typeof headers === "object" && headers !== null && !Array.isArray(headers)
    ? Object.keys(headers)
    : [];
}

// Reads under all spellings, because Go writes `Traceparent` and `get` of the NATS client knows only exact case.
function readNatsHeaders(headers: unknown, key: string): unknown {
  if (typeof headers !== "object" || headers === null || !("values" in headers)) return undefined;
  if (typeof headers.values !== "function") return undefined;
  const values: unknown[] = [];
  for (const name of natsHeaderKeys(headers)) {
    if (name.toLowerCase() !== key) continue;
    const sent: unknown = headers.values(name);
    if (Array.isArray(sent)) values.push(...sent);
  }
  return values;
}

function natsHeaderKeys(headers: unknown): string[] {
  if (typeof headers !== "object" || headers === null) return [];
  const keys = callMethod(headers, "keys");
  return Array.isArray(keys) ? keys.filter((key) => typeof key === "string") : [];
}

/** A message as Nest's clients hand it to their transport. */
export interface Packet {
  readonly pattern: unknown;
  readonly data: unknown;
  /** The carrier of the trace context. TCP and Redis send it since Nest 12.0.4. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Returns a copy of the packet whose metadata has the injected fields, and no field of an earlier trace in any
 * letter case. The packet itself stays as it is, and is returned where there is nothing to inject.
 */
export function writePacket<P extends Packet>(packet: P, injection: Injection | undefined): P {
  if (injection === undefined) return packet;
  // By entries, so that a key `__proto__` stays an ordinary one.
  const kept = Object.entries(packet.metadata ?? {}).filter(
    ([name]) => !injection.stale.includes(name.toLowerCase()),
  );
  return { ...packet, metadata: Object.fromEntries([...kept, ...injection.fields]) };
}
