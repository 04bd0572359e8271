package jeeves;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.opentelemetry.api.baggage.Baggage;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.context.Scope;
import io.opentelemetry.sdk.testing.junit5.OpenTelemetryExtension;
import io.opentelemetry.sdk.trace.data.SpanData;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.MockProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

class RequestHandlerTest {
  @RegisterExtension static final OpenTelemetryExtension tracing = OpenTelemetryExtension.create();

  private static final String REQUEST =
      "{\"requestId\":\"r-1\",\"agent\":\"executor\",\"message\":\"plan a dinner\","
          + "\"correlationId\":\"c-1\",\"replyTopic\":\"replies\"}";

  private final MockProducer<String, String> producer =
      new MockProducer<>(false, null, new StringSerializer(), new StringSerializer());
  private final List<String> errors = new ArrayList<>();
  private boolean givenUp;
  private final RequestHandler handler = new RequestHandler(producer, errors::add, () -> givenUp);

  @Test
  @DisplayName(
      "a request is answered on the topic it names, with its correlation id as key and header")
  void answered() {
    handler.handle(record(REQUEST));

    ProducerRecord<String, String> reply = producer.history().get(0);
    assertEquals("replies", reply.topic());
    assertEquals("c-1", reply.key());
    assertEquals(
        "c-1",
        new String(reply.headers().lastHeader("correlation-id").value(), StandardCharsets.UTF_8));
    assertEquals(
        "{\"requestId\":\"r-1\",\"agent\":\"executor\",\"correlationId\":\"c-1\","
            + "\"result\":\"The message has 3 words.\"}",
        reply.value());
  }

  @Test
  @DisplayName(
      "the span of the work lasts until the reply is delivered, and has the request's id from baggage")
  void span() {
    try (Scope request = Baggage.builder().put("jeeves.request.id", "r-9").build().makeCurrent()) {
      handler.handle(record(REQUEST));
    }
    assertEquals(List.of(), tracing.getSpans());
    producer.completeNext();

    SpanData span = onlySpan();
    assertEquals("agent.process", span.getName());
    assertEquals(StatusCode.UNSET, span.getStatus().getStatusCode());
    Map<String, Object> attributes =
        span.getAttributes().asMap().entrySet().stream()
            .collect(Collectors.toMap(e -> e.getKey().getKey(), Map.Entry::getValue));
    assertEquals(
        Map.of(
            "jeeves.agent.name", "executor",
            "jeeves.agent.type", "tool",
            "jeeves.llm.calls", 0L,
            "jeeves.request.id", "r-9",
            "gen_ai.operation.name", "invoke_agent",
            "gen_ai.agent.name", "executor"),
        attributes);
  }

  @Test
  @DisplayName("without baggage the request's id on the span is empty, whatever the message says")
  void noBaggage() {
    handler.handle(record(REQUEST));
    producer.completeNext();

    assertEquals("", onlySpan().getAttributes().get(AttributeKey.stringKey("jeeves.request.id")));
  }

  @Test
  @DisplayName(
      "a reply that cannot be delivered marks the span, and a failure goes out in its place")
  void failure() {
    handler.handle(record(REQUEST));
    producer.errorNext(new RecordTooLargeException("too large"));
    assertTrue(handler.finish());

    SpanData span = onlySpan();
    assertEquals(StatusCode.ERROR, span.getStatus().getStatusCode());
    assertEquals("too large", span.getStatus().getDescription());
    assertEquals(List.of("a reply could not be sent: too large"), errors);
    assertEquals(
        "{\"requestId\":\"r-1\",\"agent\":\"executor\",\"correlationId\":\"c-1\","
            + "\"failure\":{\"code\":\"INTERNAL\",\"message\":\"too large\"}}",
        producer.history().get(1).value());
    assertFalse(producer.completeNext(), "the failure was waited for as well");
  }

  @Test
  @DisplayName("work that is given up counts as not done, its spans end, and no failure is sent")
  void givenUp() {
    handler.handle(record(REQUEST));
    givenUp = true;
    producer.errorNext(new KafkaException("closed"));

    assertFalse(handler.finish());
    assertEquals(StatusCode.ERROR, onlySpan().getStatus().getStatusCode());
    assertEquals(1, producer.history().size());
    assertEquals(List.of("requests that were not answered: 1"), errors);
  }

  @Test
  @DisplayName("a record that cannot be read is dropped with a line, and no span")
  void dropped() {
    handler.handle(record("{}}"));

    assertEquals(List.of("dropped a request: not JSON"), errors);
    assertEquals(List.of(), producer.history());
    assertEquals(List.of(), tracing.getSpans());
  }

  private static SpanData onlySpan() {
    assertEquals(1, tracing.getSpans().size());
    return tracing.getSpans().get(0);
  }

  private static ConsumerRecord<String, byte[]> record(String value) {
    return new ConsumerRecord<>(
        "jeeves.tools.requests", 0, 0, "c-1", value.getBytes(StandardCharsets.UTF_8));
  }
}
