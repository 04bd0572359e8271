import { Incoming } from "./incoming.js";
import { createInstrumenter, type KafkaOptions } from "./options.js";
import { Outgoing } from "./outgoing/index.js";
import { isObject, isWrapped, wrap } from "./wrap.js";

/** A client as kafkajs has it. */
export interface KafkaLike {
  producer(config: never): object;
  consumer(config: never): object;
}

/**
 * Wraps a client so that its producers and consumers are traced. Everything else, such as `admin()`, is that of
 * the given client, which is not changed. A client that is traced already is returned as it is.
 *
 * @throws TypeError when an option is wrong.
 */
export function traceKafka<Kafka extends KafkaLike>(
  kafka: Kafka,
  options: KafkaOptions = {},
): Kafka {
  const instrumenter = createInstrumenter(options);
  if (isWrapped(kafka)) return kafka;
  const outgoing = new Outgoing(instrumenter, options);
  return wrap<Kafka>(kafka, {
    producer(original, args) {
      const producer = Reflect.apply(original, kafka, args);
      return isObject(producer) ? outgoing.wrapProducer(producer) : producer;
    },
    consumer(original, args) {
      const consumer = Reflect.apply(original, kafka, args);
      if (!isObject(consumer)) return consumer;
      const groupId = readGroupId(args[0]);
      return new Incoming(instrumenter, {
        ...options,
        ...(groupId !== undefined && { groupId }),
      }).wrapConsumer(consumer);
    },
  });
}

function readGroupId(config: unknown): string | undefined {
  const groupId: unknown = isObject(config) ? Reflect.get(config, "groupId") : undefined;
  return typeof groupId === "string" ? groupId : undefined;
}
