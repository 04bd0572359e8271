package jeeves;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Map;
import java.util.OptionalInt;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class ConfigTest {
  @Test
  @DisplayName("an empty environment is a good one, on loopback")
  void defaults() throws Exception {
    assertEquals(
        new Config("127.0.0.1", 0, "127.0.0.1:9092", OptionalInt.empty(), false),
        Config.read(Map.of()));
  }

  @Test
  @DisplayName("the environment is heard")
  void heard() throws Exception {
    Map<String, String> env =
        Map.of(
            "HOST", "0.0.0.0",
            "PORT", "8080",
            "KAFKA_BROKERS", "a:1,b:2",
            "HEALTH_PORT", "9000",
            "STOP_WITH_STDIN", "1",
            "RECORD_PROMPTS", "TRUE",
            "EDGE_RELATION", "link");
    assertEquals(
        new Config("0.0.0.0", 8080, "a:1,b:2", OptionalInt.of(9000), true), Config.read(env));
  }

  @Test
  @DisplayName("an empty variable is as good as none")
  void empty() throws Exception {
    Map<String, String> env =
        Map.of(
            "HOST", "",
            "PORT", "",
            "KAFKA_BROKERS", "",
            "HEALTH_PORT", "",
            "STAGE_TIMEOUT_MS", "",
            "RECORD_PROMPTS", "",
            "EDGE_RELATION", "");
    assertEquals(Config.read(Map.of()), Config.read(env));
  }

  @Test
  @DisplayName("every wrong variable is named in one line, its value is not shown")
  void wrong() {
    Map<String, String> env =
        Map.of("PORT", "80a", "HEALTH_PORT", "65536", "EDGE_RELATION", "x", "RECORD_PROMPTS", "x");
    String message =
        assertThrows(Config.WrongConfiguration.class, () -> Config.read(env)).getMessage();
    assertEquals(
        "wrong configuration: PORT: expected a whole number from 0 to 65535; "
            + "HEALTH_PORT: expected a whole number from 0 to 65535; "
            + "EDGE_RELATION: expected one of child, link, none; "
            + "RECORD_PROMPTS: expected true or false",
        message);
  }
}
