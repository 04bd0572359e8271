import { Incoming } from "./incoming.js";
import { createInstrumenter, type KafkaOptions } from "./options.js";
import { Outgoing } from "./outgoing/index.js";
import { isObject, isOverlay, overlay } from "./wrap.js";

/** A client as kafkajs has it. */
export interface KafkaLike {
  producer(config: never): object;
  consumer(config: never): object;
}

/**
 * A client whose producers and consumers are traced; all else, `admin()` for one, is the given client's, which
 * stays as it is.
 *
 * @throws TypeError when an option is wrong.
 */
export function traceKafka<Kafka extends KafkaLike>(
  kafka: Kafka,
  options: KafkaOptions = {},
): Kafka {
  const instrumenter = createInstrumenter(options);
  if (isOverlay(kafka)) return kafka;
  const outgoing = new Outgoing(instrumenter, options);
  return overlay<Kafka>(kafka, {
    producer(bare, args) {
      const producer = Reflect.apply(bare, kafka, args);
      return isObject(producer) ? outgoing.producer(producer) : producer;
    },
    consumer(bare, args) {
      const consumer = Reflect.apply(bare, kafka, args);
      if (!isObject(consumer)) return consumer;
      const groupId = groupOf(args[0]);
      return new Incoming(instrumenter, {
        ...options,
        ...(groupId !== undefined && { groupId }),
      }).consumer(consumer);
    },
  });
}

function groupOf(config: unknown): string | undefined {
  const groupId: unknown = isObject(config) ? Reflect.get(config, "groupId") : undefined;
  return typeof groupId === "string" ? groupId : undefined;
}
