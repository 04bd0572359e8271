// For users.
export type { HeaderValue, KafkaHeaders } from "./carrier.js";
// For adapters.
export { kafkaGetter } from "./carrier.js";
export { type KafkaLike, traceKafka } from "./client.js";
export {
  type ConsumerLike,
  extractHeaders,
  type IncomingRecord,
  traceConsumer,
  traceEachMessage,
} from "./incoming.js";
export type { ConsumerOptions, KafkaOptions } from "./options.js";
export { injectHeaders, type ProducerLike, traceProducer } from "./outgoing/index.js";
