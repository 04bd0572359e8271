import type { Attributes } from "@opentelemetry/api";
import type { IncomingRecord } from "./options.js";

// Semantic conventions 1.45.

/** Of a span around one message that is sent; the partition only where the message names it. */
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

/** Where a message came to lie: what joins its sender's span to its reader's. */
export function placeAttributes(partition: number, offset: number): Attributes {
  return { "messaging.destination.partition.id": String(partition), "kafka.offset": offset };
}

/** Of a span around the end of a transaction. The conventions have no operation type for it. */
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

/** Of a span around the handler of one message. */
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
  const offset = offsetOf(message.offset);
  if (offset !== undefined) attributes["kafka.offset"] = offset;
  if (groupId !== undefined) attributes["messaging.consumer.group.name"] = groupId;
  if (clientId !== undefined) attributes["messaging.client.id"] = clientId;
  if (message.value === null) attributes["kafka.message.tombstone"] = true;
  return attributes;
}

/** Clients give offsets as text or bigint; the conventions want an integer. */
export function offsetOf(offset: unknown): number | undefined {
  if (typeof offset !== "string" && typeof offset !== "bigint" && typeof offset !== "number") {
    return undefined;
  }
  const number = offset === "" ? Number.NaN : Number(offset);
  return Number.isSafeInteger(number) && number >= 0 ? number : undefined;
}

/** Whether a span with these attributes is about this very record. Also in the names before 1.45. */
export function isAbout(span: unknown, { topic, partition, message }: IncomingRecord): boolean {
  if (typeof span !== "object" || span === null) return false;
  const of = (name: string): unknown => Reflect.get(span, name);
  const offset = offsetOf(of("kafka.offset") ?? of("messaging.kafka.offset"));
  return (
    offset !== undefined &&
    offset === offsetOf(message.offset) &&
    of("messaging.destination.name") === topic &&
    of("messaging.destination.partition.id") === String(partition)
  );
}
