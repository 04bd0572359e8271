import type { Attributes } from "@opentelemetry/api";
import type { IncomingRecord } from "./options.js";

// Semantic conventions 1.45.

/** Attributes of the span of one message that is sent; the partition only where the message requests one. */
export function sendAttributes(
  topic: string,
  clientId: string | undefined,
  partition: unknown,
  value: unknown,
): Attributes {
  const attributes: Attributes = {
    "messaging.system.name": "kafka",
    "messaging.destination.name": topic,
    "messaging.operation.name": "send",
    "messaging.operation.type": "send",
  };
  if (clientId !== undefined) attributes["messaging.client.id"] = clientId;
  if (typeof partition === "number") {
    attributes["messaging.destination.partition.id"] = String(partition);
  }
  if (value === null) attributes["kafka.message.tombstone"] = true;
  return attributes;
}

/** Attributes that identify a record within its topic, on the sender's span and on the consumer's. */
export function recordMetadataAttributes(partition: number, offset: number): Attributes {
  return { "messaging.destination.partition.id": String(partition), "kafka.offset": offset };
}

/** Attributes of the span that ends a transaction. The conventions have no operation type for it. */
export function transactionAttributes(
  operation: "commit" | "abort",
  clientId: string | undefined,
): Attributes {
  const attributes: Attributes = {
    "messaging.system.name": "kafka",
    "messaging.operation.name": operation,
  };
  if (clientId !== undefined) attributes["messaging.client.id"] = clientId;
  return attributes;
}

/** Attributes of the span around the handler of one message. */
export function processAttributes(
  { topic, partition, message }: IncomingRecord,
  groupId: string | undefined,
  clientId: string | undefined,
): Attributes {
  const attributes: Attributes = {
    "messaging.system.name": "kafka",
    "messaging.destination.name": topic,
    "messaging.operation.name": "process",
    "messaging.operation.type": "process",
    "messaging.destination.partition.id": String(partition),
  };
  const offset = parseOffset(message.offset);
  if (offset !== undefined) attributes["kafka.offset"] = offset;
  if (groupId !== undefined) attributes["messaging.consumer.group.name"] = groupId;
  if (clientId !== undefined) attributes["messaging.client.id"] = clientId;
  if (message.value === null) attributes["kafka.message.tombstone"] = true;
  return attributes;
}

/** Converts an offset, which clients give as text or bigint, to the integer of the conventions; else undefined. */
export function parseOffset(offset: unknown): number | undefined {
  if (typeof offset !== "string" && typeof offset !== "bigint" && typeof offset !== "number") {
    return undefined;
  }
  const number = offset === "" ? Number.NaN : Number(offset);
  return Number.isSafeInteger(number) && number >= 0 ? number : undefined;
}

/** True when a span's attributes name this very record. Knows the names before the conventions 1.45 too. */
export function identifiesRecord(
  attributes: unknown,
  { topic, partition, message }: IncomingRecord,
): boolean {
  if (typeof attributes !== "object" || attributes === null) return false;
  const get = (name: string): unknown => Reflect.get(attributes, name);
  const offset = parseOffset(get("kafka.offset") ?? get("messaging.kafka.offset"));
  return (
    offset !== undefined &&
    offset === parseOffset(message.offset) &&
    get("messaging.destination.name") === topic &&
    get("messaging.destination.partition.id") === String(partition)
  );
}
