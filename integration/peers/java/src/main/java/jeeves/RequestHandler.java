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
 * Handles the requests of one poll. Replies are sent as the requests come and awaited together at
 * the end: one round trip to the broker for all of them.
 */
final class RequestHandler {
  /** A reply on its way, and the context of the request it answers. */
  private record PendingReply(
      AgentRequest request, Context context, AtomicReference<Exception> error) {}

  private final Producer<String, String> producer;
  private final Consumer<String> logError;
  private final BooleanSupplier givenUp;
  private int unanswered;
  private final List<PendingReply> pendingReplies = new ArrayList<>();

  /** When the work is given up, somebody closes the producer, and no failure is sent any more. */
  RequestHandler(
      Producer<String, String> producer, Consumer<String> logError, BooleanSupplier givenUp) {
    this.producer = producer;
    this.logError = logError;
    this.givenUp = givenUp;
  }

  /**
   * Answers one request. The current context is that of the record: the agent's process span, its
   * baggage.
   */
  void handle(ConsumerRecord<String, byte[]> record) {
    AgentRequest request;
    try {
      request = AgentRequest.parse(record.value());
    } catch (AgentRequest.Unusable unusable) {
      // It cannot be answered: without a readable request there is no reply topic.
      logError.accept("dropped a request: " + unusable.getMessage());
      return;
    }
    PendingReply pending = new PendingReply(request, Context.current(), new AtomicReference<>());
    Span span = AgentSpan.start();
    try (Scope active = span.makeCurrent()) {
      producer.send(
          Replies.result(request, WordCountTool.run(request.message())),
          (metadata, error) -> {
            pending.error.set(error);
            AgentSpan.end(span, error);
          });
      pendingReplies.add(pending);
    } catch (RuntimeException error) {
      AgentSpan.end(span, error);
      sendFailure(request, error);
    }
  }

  /**
   * Waits until every reply is delivered; instead of one that could not be, a failure is sent, and
   * waited for. Returns true when all requests were answered, false when the work was given up.
   */
  boolean finish() {
    producer.flush();
    for (PendingReply pending : pendingReplies) {
      if (pending.error.get() == null) continue;
      try (Scope active = pending.context.makeCurrent()) {
        sendFailure(pending.request, pending.error.get());
      }
    }
    pendingReplies.clear();
    producer.flush();
    if (unanswered > 0) logError.accept("requests that were not answered: " + unanswered);
    return unanswered == 0;
  }

  private void sendFailure(AgentRequest request, Throwable error) {
    if (givenUp.getAsBoolean()) {
      unanswered++;
      return;
    }
    logError.accept("a reply could not be sent: " + Output.messageOf(error));
    try {
      producer.send(
          Replies.failure(request, Output.messageOf(error)),
          (metadata, again) -> {
            if (again != null) logError.accept("nor its failure: " + Output.messageOf(again));
          });
    } catch (RuntimeException again) {
      logError.accept("nor its failure: " + Output.messageOf(again));
    }
  }
}
