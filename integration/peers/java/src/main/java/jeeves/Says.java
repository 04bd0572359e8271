package jeeves;

/** What the programs print. */
final class Says {
  private Says() {}

  /** The line that whoever starts a program waits for. */
  static void ready(String name, String address) {
    System.out.println("READY " + name + " " + address);
    System.out.flush();
  }

  static void complain(String name, String line) {
    System.err.println(name + ": " + line);
  }

  static String why(Throwable error) {
    String message = error.getMessage();
    return message == null ? error.getClass().getName() : message;
  }

  /** The reason behind the reasons: Kafka wraps what went wrong into what it was doing. */
  static String rootCause(Throwable error) {
    Throwable cause = error;
    while (cause.getCause() != null) cause = cause.getCause();
    return why(cause);
  }
}
