import type { IncomingHttpHeaders } from "node:http";
import { SanitizingGetter } from "@traceferry/core";
import { metadataGetter } from "@traceferry/grpc/carrier";
import { kafkaGetter } from "@traceferry/kafka";
import { ask, isMetadata, property, type RpcMessage } from "./rpc-message.js";

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
