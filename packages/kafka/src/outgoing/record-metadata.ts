import { offsetOf } from "../attributes.js";
import { isObject } from "../wrap.js";

/** Where one message lies. */
export interface Place {
  readonly partition: number;
  readonly offset: number;
}

/** The broker's answer by topic: for each partition that got messages, where the first of them lies. */
export function topicsOf(metadata: unknown): ReadonlyMap<unknown, readonly Place[]> {
  const topics = new Map<unknown, Place[]>();
  if (!Array.isArray(metadata)) return topics;
  for (const entry of metadata) {
    if (!isObject(entry)) continue;
    const topic: unknown = Reflect.get(entry, "topicName");
    const partition: unknown = Reflect.get(entry, "partition");
    // Brokers older than 0.11 answer with `offset`.
    const offset = offsetOf(Reflect.get(entry, "baseOffset") ?? Reflect.get(entry, "offset"));
    if (typeof partition !== "number" || offset === undefined) continue;
    const places = topics.get(topic);
    if (places === undefined) topics.set(topic, [{ partition, offset }]);
    else places.push({ partition, offset });
  }
  return topics;
}

const UNKNOWN: readonly Place[] = [];

/**
 * Where each message of a topic lies, in the order of sending; nothing where that cannot be known. It is known
 * when all of them went to one partition, or when each asked for one and these are the ones that answered:
 * a partitioner of the user's own need not do what messages ask for.
 */
export function placesOf(
  answers: readonly Place[] | undefined,
  sent: readonly { readonly partition: unknown }[],
): readonly Place[] {
  const [first, ...others] = answers ?? UNKNOWN;
  if (first === undefined) return UNKNOWN;
  const { partition, offset } = first;
  if (others.length === 0) return sent.map((_, index) => ({ partition, offset: offset + index }));

  const next = new Map<unknown, Place>(
    [first, ...others].map((answer) => [answer.partition, answer]),
  );
  const asked = new Set(sent.map((message) => message.partition));
  if (next.size !== others.length + 1 || asked.size !== next.size) return UNKNOWN;
  const places: Place[] = [];
  for (const message of sent) {
    const free = next.get(message.partition);
    if (free === undefined) return UNKNOWN;
    places.push(free);
    next.set(free.partition, { ...free, offset: free.offset + 1 });
  }
  return places;
}
