import { parseOffset } from "../attributes.js";
import { isObject } from "../wrap.js";

/** The partition and the offset of one record. */
export interface RecordMetadata {
  readonly partition: number;
  readonly offset: number;
}

const UNKNOWN: readonly RecordMetadata[] = [];

/** Reads the broker's response: by topic, the first record written to each partition. */
export function firstRecordsByTopic(
  response: unknown,
): ReadonlyMap<unknown, readonly RecordMetadata[]> {
  const byTopic = new Map<unknown, RecordMetadata[]>();
  if (!Array.isArray(response)) return byTopic;
  for (const entry of response) {
    if (!isObject(entry)) continue;
    const topic: unknown = Reflect.get(entry, "topicName");
    const partition: unknown = Reflect.get(entry, "partition");
    // Brokers older than 0.11 answer with `offset`.
    const offset = parseOffset(Reflect.get(entry, "baseOffset") ?? Reflect.get(entry, "offset"));
    if (typeof partition !== "number" || offset === undefined) continue;
    const records = byTopic.get(topic);
    if (records === undefined) byTopic.set(topic, [{ partition, offset }]);
    else records.push({ partition, offset });
  }
  return byTopic;
}

/**
 * Returns the metadata of each message that was sent to a topic, in the order of sending; an empty list where it
 * cannot be known. It is known when all messages went to one partition, or when each requested a partition and
 * exactly those partitions are in the response: a custom partitioner may ignore the requests.
 *
 * @param firstRecords - the topic's first record in each partition, from the broker's response
 * @param messages - the messages sent to the topic, each with the partition it requested
 */
export function metadataOfMessages(
  firstRecords: readonly RecordMetadata[] | undefined,
  messages: readonly { readonly partition: unknown }[],
): readonly RecordMetadata[] {
  const [first, ...others] = firstRecords ?? UNKNOWN;
  if (first === undefined) return UNKNOWN;
  const { partition, offset } = first;
  if (others.length === 0) {
    return messages.map((_, index) => ({ partition, offset: offset + index }));
  }

  const nextRecords = new Map<unknown, RecordMetadata>(
    [first, ...others].map((record) => [record.partition, record]),
  );
  const requested = new Set(messages.map((message) => message.partition));
  if (nextRecords.size !== others.length + 1 || requested.size !== nextRecords.size) return UNKNOWN;
  const metadata: RecordMetadata[] = [];
  for (const message of messages) {
    const next = nextRecords.get(message.partition);
    if (next === undefined) return UNKNOWN;
    metadata.push(next);
    nextRecords.set(next.partition, { ...next, offset: next.offset + 1 });
  }
  return metadata;
}
