package jeeves;

import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** The Kafka clients and their settings. */
final class Clients {
  private Clients() {}

  static KafkaConsumer<String, byte[]> consumer(Config config, String group) {
    Map<String, Object> settings =
        Map.of(
            ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG,
            config.kafkaBrokers(),
            ConsumerConfig.CLIENT_ID_CONFIG,
            group,
            ConsumerConfig.GROUP_ID_CONFIG,
            group,
            ConsumerConfig.AUTO_OFFSET_RESET_CONFIG,
            "earliest",
            ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG,
            false,
            // Even where every reply fails, the work of one poll is over long before the group
            // takes the worker for dead (max.poll.interval.ms, 5 minutes).
            ConsumerConfig.MAX_POLL_RECORDS_CONFIG,
            20,
            // A worker that was killed leaves its partitions to others after this, not after 45 s.
            ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG,
            10_000);
    return new KafkaConsumer<>(settings, new StringDeserializer(), new ByteArrayDeserializer());
  }

  static KafkaProducer<String, String> producer(Config config, String clientId) {
    Map<String, Object> settings =
        Map.of(
            ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, config.kafkaBrokers(),
            ProducerConfig.CLIENT_ID_CONFIG, clientId,
            ProducerConfig.LINGER_MS_CONFIG, 0,
            // A reply topic that does not exist holds up the others for this long, not for a
            // minute.
            ProducerConfig.MAX_BLOCK_MS_CONFIG, 1_000,
            ProducerConfig.REQUEST_TIMEOUT_MS_CONFIG, 10_000,
            // Later nobody waits for the reply any more.
            ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG, 20_000);
    return new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
  }
}
