package jeeves;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * Makes the reply to a request: the final text or a failure, for the topic that the request names.
 */
final class Replies {
  private static final JsonMapper JSON = new JsonMapper();

  private Replies() {}

  static ProducerRecord<String, String> result(AgentRequest request, String text) {
    return reply(request, JsonNodeFactory.instance.objectNode().put("result", text));
  }

  static ProducerRecord<String, String> failure(AgentRequest request, String message) {
    ObjectNode outcome = JsonNodeFactory.instance.objectNode();
    outcome.putObject("failure").put("code", "INTERNAL").put("message", message);
    return reply(request, outcome);
  }

  private static ProducerRecord<String, String> reply(AgentRequest request, ObjectNode outcome) {
    ObjectNode reply =
        JsonNodeFactory.instance
            .objectNode()
            .put("requestId", request.requestId())
            .put("agent", request.agent())
            .put("correlationId", request.correlationId())
            .setAll(outcome);
    ProducerRecord<String, String> record =
        new ProducerRecord<>(request.replyTopic(), request.correlationId(), reply.toString());
    record
        .headers()
        .add("correlation-id", request.correlationId().getBytes(StandardCharsets.UTF_8));
    return record;
  }
}
