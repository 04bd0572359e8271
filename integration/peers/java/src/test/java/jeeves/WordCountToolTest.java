package jeeves;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WordCountToolTest {
  @Test
  @DisplayName("one word is not called words")
  void one() {
    assertEquals("The message has 1 word.", WordCountTool.run(" hello\n"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", " ", "\t\n\u000B\f\r \u00A0\uFEFF\u3000"})
  @DisplayName("blanks alone are no words")
  void none(String message) {
    assertEquals("The message has 0 words.", WordCountTool.run(message));
  }

  @ParameterizedTest
  @ValueSource(
      chars = {'\u00A0', '\u1680', '\u2000', '\u200A', '\u2028', '\u202F', '\u205F', '\uFEFF'})
  @DisplayName("words are split where JavaScript's \\s splits them")
  void split(char blank) {
    assertEquals("The message has 2 words.", WordCountTool.run("café" + blank + blank + "crème"));
  }

  @ParameterizedTest
  @ValueSource(chars = {'\u0085', '\u200B', '\u180E', '\u001C'})
  @DisplayName("what only looks like a blank to others splits nothing")
  void together(char other) {
    assertEquals("The message has 1 word.", WordCountTool.run("café" + other + "crème"));
  }
}
