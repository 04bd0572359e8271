package jeeves;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.BindException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executors;
import java.util.function.BooleanSupplier;

/**
 * Serves /healthz and /readyz. The agent leaves this server alone: health checks are not traced.
 */
final class Health implements AutoCloseable {
  /** So many slow clients can be in the middle of a request before others have to wait. */
  private static final int THREADS = 4;

  private final HttpServer server;

  private Health(HttpServer server) {
    this.server = server;
  }

  /** Serves where the configuration says so; otherwise nothing. */
  static Health serve(Config config, BooleanSupplier ready) throws IOException {
    if (config.healthPort().isEmpty()) return new Health(null);
    HttpServer server = bind(config.host(), config.healthPort().getAsInt());
    server.createContext("/", exchange -> answer(exchange, ready));
    server.start();
    return new Health(server);
  }

  /**
   * A server, not yet started. The error of a port in use says which one. Without threads of its
   * own one half-sent request would stop it; how long a request may take is in java.args.
   */
  static HttpServer bind(String host, int port) throws IOException {
    try {
      HttpServer server = HttpServer.create(new InetSocketAddress(host, port), 0);
      server.setExecutor(Executors.newFixedThreadPool(THREADS, Health::daemon));
      return server;
    } catch (BindException taken) {
      throw new IOException(host + ":" + port + ": " + Output.messageOf(taken));
    }
  }

  @Override
  public void close() {
    if (server != null) server.stop(0);
  }

  private static Thread daemon(Runnable body) {
    Thread thread = new Thread(body, "http");
    thread.setDaemon(true);
    return thread;
  }

  private static void answer(HttpExchange exchange, BooleanSupplier ready) throws IOException {
    switch (exchange.getRequestURI().toString()) {
      case "/healthz" -> send(exchange, 200, "ok");
      case "/readyz" -> {
        if (ready.getAsBoolean()) send(exchange, 200, "ok");
        else send(exchange, 503, "not ready");
      }
      default -> send(exchange, 404, "no such page");
    }
  }

  private static void send(HttpExchange exchange, int code, String status) throws IOException {
    byte[] body = ("{\"status\":\"" + status + "\"}").getBytes(StandardCharsets.UTF_8);
    try (exchange) {
      exchange.getResponseHeaders().set("Content-Type", "application/json");
      exchange.sendResponseHeaders(code, body.length);
      exchange.getResponseBody().write(body);
    }
  }
}
