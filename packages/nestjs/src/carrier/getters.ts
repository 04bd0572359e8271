import type { IncomingHttpHeaders } from "node:http";
import { SanitizingGetter } from "@traceferry/core";
import { metadataGetter } from "@traceferry/grpc/carrier";
import { kafkaGetter } from "@traceferry/kafka";
import { callMethod, isGrpcMetadata, property, type RpcMessage } from "./rpc-message.js";

/** Reads what came with a message, whatever its transport. */
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

/** Reads HTTP headers: Node has folded their case, and joined what was repeated. */
export const httpGetter = new SanitizingGetter<IncomingHttpHeaders>({
  read: (headers, key) => headers[key],
  keys: (headers) => Object.keys(headers),
});

/** All values whose key is this one in any letter case. */
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

// Strangers write JSON: the metadata of a packet may be a text or a list.
function plainHeaderKeys(headers: unknown): string[] {
  return typeof headers === "object" && headers !== null && !Array.isArray(headers)
    ? Object.keys(headers)
    : [];
}

// Go writes `Traceparent`, and `get` of the NATS client looks for one spelling only.
function readNatsHeaders(headers: unknown, key: string): unknown {
  if (typeof headers !== "object" || headers === null || !("values" in headers)) return undefined;
  if (typeof headers.values !== "function") return undefined;
  const values: unknown[] = [];
  for (const name of natsHeaderKeys(headers)) {
    if (name.toLowerCase() !== key) continue;
    const found: unknown = headers.values(name);
    if (Array.isArray(found)) values.push(...found);
  }
  return values;
}

function natsHeaderKeys(headers: unknown): string[] {
  if (typeof headers !== "object" || headers === null) return [];
  const keys = callMethod(headers, "keys");
  return Array.isArray(keys) ? keys.filter((key) => typeof key === "string") : [];
}
