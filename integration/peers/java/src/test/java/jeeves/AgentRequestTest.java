package jeeves;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AgentRequestTest {
  private static final String GOOD =
      "{'requestId':'r-1','agent':'executor','message':'é b','correlationId':'c-1',"
          + "'replyTopic':'jeeves.agents.replies','more':[1]}";

  @Test
  @DisplayName(
      "a request may leave out its session and whether it streams, and bring fields we do not know")
  void defaults() throws Exception {
    assertEquals(
        new AgentRequest("r-1", "", "executor", "é b", false, "c-1", "jeeves.agents.replies"),
        parse(GOOD));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "'requestId':'r-1'     | 'requestId':''        | requestId: is empty",
        "'requestId':'r-1'     | 'requestId':7         | requestId: expected text",
        "'requestId':'r-1',    | ``                    | requestId: expected text",
        "'agent':'executor'    | 'agent':'cook'        | agent: expected planner or executor",
        "'message':'é b'       | 'message':null        | message: expected text",
        "'correlationId':'c-1' | 'correlationId':''    | correlationId: is empty",
        "'more':[1]            | 'sessionId':null      | sessionId: expected text",
        "'more':[1]            | 'stream':'yes'        | stream: expected true or false",
      })
  @DisplayName("a field that does not fit is named")
  void named(String good, String bad, String reason) {
    assertEquals(reason, reasonFor(GOOD.replace(good, bad)));
  }

  @Test
  @DisplayName("the error names every wrong field at once")
  void all() {
    assertEquals(
        "requestId: expected text; agent: expected text; message: expected text; "
            + "correlationId: expected text; replyTopic: expected text",
        reasonFor("{}"));
  }

  @Test
  @DisplayName("a message of 65536 characters is taken, a longer one is not, nor a topic above 249")
  void bounds() throws Exception {
    String longest = "x".repeat(65_536);
    assertEquals(longest, parse(GOOD.replace("é b", longest)).message());
    assertEquals(
        "message: longer than 65536 characters", reasonFor(GOOD.replace("é b", longest + "x")));
    assertEquals(
        "replyTopic: longer than 249 characters",
        reasonFor(GOOD.replace("jeeves.agents.replies", "t".repeat(250))));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      nullValues = "-",
      value = {
        "- | not JSON",
        "`` | not JSON",
        "{ | not JSON",
        "{} {} | not JSON",
        "[] | expected an object"
      })
  @DisplayName("what is no JSON object is no request")
  void noObject(String text, String reason) {
    assertEquals(reason, reasonFor(text));
  }

  private static String reasonFor(String text) {
    return assertThrows(AgentRequest.Unusable.class, () -> parse(text)).getMessage();
  }

  private static AgentRequest parse(String text) throws AgentRequest.Unusable {
    return AgentRequest.parse(
        text == null ? null : text.replace('\'', '"').getBytes(StandardCharsets.UTF_8));
  }
}
