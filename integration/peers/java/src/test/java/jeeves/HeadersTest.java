package jeeves;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class HeadersTest {
  private static final JsonMapper JSON = new JsonMapper();

  @Test
  @DisplayName("what was injected is extracted again")
  void roundTrip() throws Exception {
    JsonNode request =
        JSON.readTree(
            "{\"traceId\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\"spanId\":\"00f067aa0ba902b7\","
                + "\"flags\":3,\"baggage\":{\"note\":\"é, 100%;=ü\"}}");
    JsonNode headers = Headers.inject(request);
    assertEquals(
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03",
        headers.get("traceparent").asText());
    assertEquals(
        request,
        JSON.readTree(Headers.extract(JSON.createObjectNode().set("headers", headers)).toString()));
  }
}
