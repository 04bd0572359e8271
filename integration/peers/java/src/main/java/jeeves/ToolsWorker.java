package jeeves;

import java.time.Duration;
import java.util.Collection;
import java.util.List;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;

/**
 * The role jeeves-tools-worker: requests to the tool come over Kafka, and replies go back over
 * Kafka.
 *
 * <p>One thread polls and works: counting words takes microseconds, and the replies of one poll are
 * under way together. A slow tool would need threads of its own.
 */
public final class ToolsWorker {
  private static final String NAME = "jeeves-tools-worker";
  private static final String TOOL_REQUESTS = "jeeves.tools.requests";
  private static final Duration POLL = Duration.ofMillis(250);
  private static final Duration JOIN_LIMIT = Duration.ofSeconds(30);

  /** The clients' own limit is longer than the one for the whole stop. */
  private static final Duration CLOSE = Duration.ofSeconds(3);

  private final KafkaConsumer<String, byte[]> consumer;
  private final RequestHandler handler;
  private final Stop stop;
  private volatile boolean joined;

  private ToolsWorker(
      KafkaConsumer<String, byte[]> consumer, Producer<String, String> producer, Stop stop) {
    this.consumer = consumer;
    this.handler = new RequestHandler(producer, line -> Output.error(NAME, line), stop::isGivenUp);
    this.stop = stop;
  }

  public static void main(String[] args) {
    String trouble = "cannot start: ";
    try {
      Config config = Config.read(System.getenv());
      Stop stop = Stop.listen(NAME, config.stopWithStdin());
      try (Producer<String, String> producer = Clients.producer(config, NAME);
          KafkaConsumer<String, byte[]> consumer = Clients.consumer(config, NAME)) {
        ToolsWorker worker = new ToolsWorker(consumer, producer, stop);
        stop.wakeBy(consumer::wakeup);
        // Ends every wait for the broker, and with it the spans of replies under way.
        stop.giveUpBy(() -> producer.close(Duration.ZERO));
        try (Health health = Health.serve(config, () -> worker.joined)) {
          worker.join(config.kafkaBrokers());
          trouble = "cannot go on: ";
          if (!stop.isAsked()) Output.ready(NAME, "-");
          worker.workUntilStopped();
        }
        // Leaves the group, after the commits under way.
        consumer.close(CloseOptions.timeout(stop.isGivenUp() ? Duration.ZERO : CLOSE));
        producer.close(CLOSE);
      }
      stop.exit();
    } catch (Exception error) {
      Output.error(NAME, trouble + Output.rootCause(error));
      System.exit(1);
    }
  }

  /** Returns when the group has given us our partitions: no request can be missed from then on. */
  private void join(String brokers) {
    consumer.subscribe(List.of(TOOL_REQUESTS), new Joined());
    long began = System.nanoTime();
    while (!joined && !stop.isAsked()) {
      if (System.nanoTime() - began > JOIN_LIMIT.toNanos()) {
        throw new IllegalStateException(
            "no consumer group at " + brokers + " in " + JOIN_LIMIT.toSeconds() + " s");
      }
      turn(Duration.ofMillis(20));
    }
  }

  private void workUntilStopped() {
    while (!stop.isAsked()) turn(POLL);
  }

  /**
   * One turn: the records of a poll are answered, the replies are delivered, and only then are the
   * offsets committed.
   */
  private void turn(Duration wait) {
    ConsumerRecords<String, byte[]> records;
    try {
      records = consumer.poll(wait);
    } catch (WakeupException asked) {
      return;
    }
    if (records.isEmpty()) return;
    // The agent hooks into this very iteration: between two steps the record's process span is
    // current.
    for (ConsumerRecord<String, byte[]> record : records) handler.handle(record);
    if (!handler.finish()) return;
    consumer.commitAsync(
        (offsets, error) -> {
          // The next commit covers this one; until then a restart would answer again.
          if (error != null) Output.error(NAME, "commit: " + Output.messageOf(error));
        });
  }

  private final class Joined implements ConsumerRebalanceListener {
    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
      joined = true;
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
      joined = false;
    }

    @Override
    public void onPartitionsLost(Collection<TopicPartition> partitions) {
      joined = false;
    }
  }
}
