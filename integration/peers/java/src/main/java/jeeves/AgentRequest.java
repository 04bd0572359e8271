package jeeves;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * A request to an agent: the JSON form of the message of that name in proto/jeeves/v1/agents.proto.
 */
record AgentRequest(
    String requestId,
    String sessionId,
    String agent,
    String message,
    boolean stream,
    String correlationId,
    String replyTopic) {

  private static final ObjectMapper JSON =
      JsonMapper.builder().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build();
  private static final Set<String> AGENTS = Set.of("planner", "executor");
  private static final int LONGEST_MESSAGE = 65_536;
  private static final int LONGEST_TOPIC = 249;

  /** A value that is no request; the message names the fields and never shows their content. */
  static final class Unusable extends Exception {
    private static final long serialVersionUID = 1L;

    Unusable(String reason) {
      super(reason);
    }
  }

  /** Reads a record's value, which may be anything: it comes from a socket. */
  static AgentRequest parse(byte[] value) throws Unusable {
    Fields fields = new Fields(readTree(value));
    AgentRequest request =
        new AgentRequest(
            fields.text("requestId", 1, Integer.MAX_VALUE, null),
            fields.text("sessionId", 0, Integer.MAX_VALUE, ""),
            fields.text("agent", 1, Integer.MAX_VALUE, null),
            fields.text("message", 0, LONGEST_MESSAGE, null),
            fields.flag("stream"),
            fields.text("correlationId", 1, Integer.MAX_VALUE, null),
            fields.text("replyTopic", 1, LONGEST_TOPIC, null));
    if (request.agent != null && !AGENTS.contains(request.agent)) {
      fields.wrong.add("agent: expected planner or executor");
    }
    if (!fields.wrong.isEmpty()) throw new Unusable(String.join("; ", fields.wrong));
    return request;
  }

  private static JsonNode readTree(byte[] value) throws Unusable {
    if (value == null) throw new Unusable("not JSON");
    JsonNode root;
    try {
      // By way of a string: from bytes Jackson would also guess other encodings than UTF-8.
      root = JSON.readTree(new String(value, StandardCharsets.UTF_8));
    } catch (JsonProcessingException notJson) {
      throw new Unusable("not JSON");
    }
    if (root.isMissingNode()) throw new Unusable("not JSON");
    if (!root.isObject()) throw new Unusable("expected an object");
    return root;
  }

  private static final class Fields {
    private final JsonNode root;
    private final List<String> wrong = new ArrayList<>();

    Fields(JsonNode root) {
      this.root = root;
    }

    String text(String name, int shortest, int longest, String absent) {
      JsonNode field = root.get(name);
      if (field == null && absent != null) return absent;
      if (field == null || !field.isTextual()) {
        wrong.add(name + ": expected text");
        return null;
      }
      String text = field.textValue();
      if (text.length() < shortest) wrong.add(name + ": is empty");
      if (text.length() > longest) wrong.add(name + ": longer than " + longest + " characters");
      return text;
    }

    boolean flag(String name) {
      JsonNode field = root.get(name);
      if (field == null) return false;
      if (!field.isBoolean()) wrong.add(name + ": expected true or false");
      return field.booleanValue();
    }
  }
}
