package jeeves;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/** The settings that the programs read from the environment, besides the OTEL_* variables. */
record Config(
    String host, int port, String kafkaBrokers, OptionalInt healthPort, boolean stopWithStdin) {

  private static final int HIGHEST_PORT = 65_535;
  private static final Set<String> YES_OR_NO =
      Set.of("true", "1", "yes", "on", "y", "enabled", "false", "0", "no", "off", "n", "disabled");

  /** Some variable has a value that cannot be used; the message names each of them. */
  static final class WrongConfiguration extends Exception {
    private static final long serialVersionUID = 1L;

    WrongConfiguration(List<String> wrong) {
      super("wrong configuration: " + String.join("; ", wrong));
    }
  }

  /**
   * Reads the environment. Every variable of a role is checked, also those that this program has no
   * use for: a system that is set up wrongly is noticed by whichever role starts first.
   */
  static Config read(Map<String, String> env) throws WrongConfiguration {
    Reader reader = new Reader(env);
    int port = reader.number("PORT", HIGHEST_PORT).orElse(0);
    OptionalInt healthPort = reader.number("HEALTH_PORT", HIGHEST_PORT);
    reader.number("STAGE_TIMEOUT_MS", Integer.MAX_VALUE);
    reader.number("PROVIDER_LATENCY_MS", Integer.MAX_VALUE);
    reader.oneOf("EDGE_RELATION", Set.of("child", "link", "none"));
    reader.yesOrNo("RECORD_PROMPTS");
    reader.yesOrNo("PROVIDER_DIRECTIVES");
    if (!reader.wrong.isEmpty()) throw new WrongConfiguration(reader.wrong);
    return new Config(
        reader.text("HOST").orElse("127.0.0.1"),
        port,
        reader.text("KAFKA_BROKERS").orElse("127.0.0.1:9092"),
        healthPort,
        env.containsKey("STOP_WITH_STDIN"));
  }

  private static final class Reader {
    private final Map<String, String> env;
    private final List<String> wrong = new ArrayList<>();

    Reader(Map<String, String> env) {
      this.env = env;
    }

    /** An empty variable is taken for one that is not set, as OpenTelemetry's are. */
    Optional<String> text(String name) {
      return Optional.ofNullable(env.get(name)).filter(value -> !value.isEmpty());
    }

    OptionalInt number(String name, int highest) {
      Optional<String> text = text(name);
      if (text.isEmpty()) return OptionalInt.empty();
      try {
        int value = Integer.parseInt(text.get().strip());
        if (value >= 0 && value <= highest) return OptionalInt.of(value);
      } catch (NumberFormatException notNumber) {
        // Said below, with the range.
      }
      wrong.add(name + ": expected a whole number from 0 to " + highest);
      return OptionalInt.empty();
    }

    void oneOf(String name, Set<String> known) {
      if (text(name).map(known::contains).orElse(true)) return;
      wrong.add(name + ": expected one of " + String.join(", ", known.stream().sorted().toList()));
    }

    void yesOrNo(String name) {
      if (text(name).map(it -> YES_OR_NO.contains(it.toLowerCase(Locale.ROOT))).orElse(true))
        return;
      wrong.add(name + ": expected true or false");
    }
  }
}
