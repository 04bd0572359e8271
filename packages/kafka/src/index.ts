// For users.

export {
  extractHeaders,
  type HeaderValue,
  injectHeaders,
  type KafkaHeaders,
} from "./carrier/index.js";
export { type KafkaLike, traceKafka } from "./client.js";
export { type ConsumerLike, traceConsumer, traceEachMessage } from "./incoming.js";
export type { ConsumerOptions, IncomingRecord, KafkaOptions } from "./options.js";
export { type ProducerLike, traceProducer } from "./outgoing/index.js";

// For adapters.

export { kafkaGetter } from "./carrier/index.js";
