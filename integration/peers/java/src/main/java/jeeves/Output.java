package jeeves;

/** The lines that the programs print, and the texts of errors in them. */
final class Output {
  private Output() {}

  /** Prints the line that the starter of a program waits for. */
  static void ready(String name, String address) {
    System.out.println("READY " + name + " " + address);
    System.out.flush();
  }

  static void error(String name, String line) {
    System.err.println(name + ": " + line);
  }

  static String messageOf(Throwable error) {
    String message = error.getMessage();
    return message == null ? error.getClass().getName() : message;
  }

  /**
   * The message of the innermost cause: Kafka wraps an error into that of the operation it broke.
   */
  static String rootCause(Throwable error) {
    Throwable cause = error;
    while (cause.getCause() != null) cause = cause.getCause();
    return messageOf(cause);
  }
}
