package jeeves;

import java.util.regex.Pattern;

/** The tool: answers a message with the number of its words. */
final class WordCountTool {
  // The blanks of ECMAScript's \s: the other implementations of this role split there. Java's own
  // \s knows ASCII only, and with UNICODE_CHARACTER_CLASS it takes U+0085 for a blank and U+FEFF
  // for none.
  private static final Pattern BLANKS =
      Pattern.compile(
          "[\\t\\n\\x0B\\f\\r \\u00A0\\u1680\\u2000-\\u200A\\u2028\\u2029\\u202F\\u205F\\u3000\\uFEFF]+");

  private WordCountTool() {}

  static String run(String message) {
    long words = BLANKS.splitAsStream(message).filter(word -> !word.isEmpty()).count();
    return "The message has " + words + " " + (words == 1 ? "word" : "words") + ".";
  }
}
