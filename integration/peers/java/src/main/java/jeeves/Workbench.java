package jeeves;

import io.opentelemetry.api.trace.Span;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.Scope;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.Producer;

/**
 * Does the work of one poll. Replies are sent as the requests come and awaited together at the end:
 * one round trip to the broker for all of them.
 */
final class Workbench {
  /** A reply on its way, and the context of the request it answers. */
  private record Sent(AgentRequest request, Context context, AtomicReference<Exception> error) {}

  private final Producer<String, String> producer;
  private final Consumer<String> complain;
  private final BooleanSupplier givenUp;
  private int lost;
  private final List<Sent> underWay = new ArrayList<>();

  /** When the work is given up, somebody closes the producer, and no failure is sent any more. */
  Workbench(Producer<String, String> producer, Consumer<String> complain, BooleanSupplier givenUp) {
    this.producer = producer;
    this.complain = complain;
    this.givenUp = givenUp;
  }

  /**
   * Answers one request. The current context is that of the record: the agent's process span, its
   * baggage.
   */
  void work(ConsumerRecord<String, byte[]> record) {
    AgentRequest request;
    try {
      request = AgentRequest.parse(record.value());
    } catch (AgentRequest.Unusable unusable) {
      // Nobody can be answered: whoever sent this did not say where.
      complain.accept("dropped a request: " + unusable.getMessage());
      return;
    }
    Sent sent = new Sent(request, Context.current(), new AtomicReference<>());
    Span span = AgentSpan.start();
    try (Scope active = span.makeCurrent()) {
      producer.send(
          Replies.result(request, Words.lookUp(request.message())),
          (metadata, error) -> {
            sent.error.set(error);
            AgentSpan.end(span, error);
          });
      underWay.add(sent);
    } catch (RuntimeException error) {
      AgentSpan.end(span, error);
      sendFailure(request, error);
    }
  }

  /**
   * Waits until every reply is delivered; instead of one that could not be, a failure is sent, and
   * waited for. Gives whether the requests are dealt with; they are not when the work is given up.
   */
  boolean finish() {
    producer.flush();
    for (Sent sent : underWay) {
      if (sent.error.get() == null) continue;
      try (Scope active = sent.context.makeCurrent()) {
        sendFailure(sent.request, sent.error.get());
      }
    }
    underWay.clear();
    producer.flush();
    if (lost > 0) complain.accept("requests that were not answered: " + lost);
    return lost == 0;
  }

  private void sendFailure(AgentRequest request, Throwable error) {
    if (givenUp.getAsBoolean()) {
      lost++;
      return;
    }
    complain.accept("a reply could not be sent: " + Says.why(error));
    try {
      producer.send(
          Replies.failure(request, Says.why(error)),
          (metadata, again) -> {
            if (again != null) complain.accept("nor its failure: " + Says.why(again));
          });
    } catch (RuntimeException again) {
      complain.accept("nor its failure: " + Says.why(again));
    }
  }
}
