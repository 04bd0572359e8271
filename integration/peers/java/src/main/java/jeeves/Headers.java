package jeeves;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.opentelemetry.api.baggage.Baggage;
import io.opentelemetry.api.baggage.BaggageBuilder;
import io.opentelemetry.api.baggage.propagation.W3CBaggagePropagator;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.api.trace.TraceFlags;
import io.opentelemetry.api.trace.TraceState;
import io.opentelemetry.api.trace.propagation.W3CTraceContextPropagator;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.propagation.TextMapPropagator;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.function.Function;

/**
 * Shows how Java's own W3C propagators write and read headers: POST /inject and POST /extract, on
 * loopback. Tests ask it; it is no role of the system.
 */
public final class Headers {
  private static final String NAME = "headers";
  private static final int LARGEST_BODY = 65_536;
  private static final JsonMapper JSON = new JsonMapper();
  private static final TextMapPropagator PROPAGATOR =
      TextMapPropagator.composite(
          W3CTraceContextPropagator.getInstance(), W3CBaggagePropagator.getInstance());

  private Headers() {}

  public static void main(String[] args) {
    try {
      Config config = Config.read(System.getenv());
      Stop stop = Stop.listen(NAME, config.stopWithStdin());
      HttpServer server = Health.bind(config.host(), config.port());
      server.createContext("/inject", exchange -> answer(exchange, Headers::inject));
      server.createContext("/extract", exchange -> answer(exchange, Headers::extract));
      server.start();
      InetSocketAddress address = server.getAddress();
      Output.ready(NAME, config.host() + ":" + address.getPort());
      stop.await();
      server.stop(0);
      stop.exit();
    } catch (Exception error) {
      Output.error(NAME, "cannot start: " + Output.rootCause(error));
      System.exit(1);
    }
  }

  /** {traceId, spanId, flags, baggage: {name: value}} becomes {header: value}. */
  static ObjectNode inject(JsonNode request) {
    SpanContext span =
        SpanContext.createFromRemoteParent(
            request.path("traceId").asText(),
            request.path("spanId").asText(),
            TraceFlags.fromByte((byte) request.path("flags").asInt()),
            TraceState.getDefault());
    BaggageBuilder baggage = Baggage.builder();
    request
        .path("baggage")
        .properties()
        .forEach(e -> baggage.put(e.getKey(), e.getValue().asText()));
    ObjectNode headers = JsonNodeFactory.instance.objectNode();
    PROPAGATOR.inject(
        Context.root().with(Span.wrap(span)).with(baggage.build()),
        headers,
        (carrier, name, value) -> headers.put(name, value));
    return headers;
  }

  /**
   * {headers: {header: value}} becomes {traceId, spanId, flags, baggage}; ids of zeros mean none.
   */
  static ObjectNode extract(JsonNode request) {
    Context context =
        PROPAGATOR.extract(
            Context.root(),
            request.path("headers"),
            (headers, name) -> headers == null ? null : headers.path(name).asText(null));
    SpanContext span = Span.fromContext(context).getSpanContext();
    ObjectNode result =
        JsonNodeFactory.instance
            .objectNode()
            .put("traceId", span.getTraceId())
            .put("spanId", span.getSpanId())
            .put("flags", Byte.toUnsignedInt(span.getTraceFlags().asByte()));
    ObjectNode baggage = result.putObject("baggage");
    Baggage.fromContext(context).forEach((name, entry) -> baggage.put(name, entry.getValue()));
    return result;
  }

  private static void answer(HttpExchange exchange, Work work) throws IOException {
    try (exchange) {
      byte[] body = exchange.getRequestBody().readNBytes(LARGEST_BODY + 1);
      if (!exchange.getRequestMethod().equals("POST")) send(exchange, 405, error("POST, please"));
      else if (body.length > LARGEST_BODY) send(exchange, 413, error("too large"));
      else answer(exchange, body, work);
    }
  }

  private static void answer(HttpExchange exchange, byte[] body, Work work) throws IOException {
    JsonNode request;
    try {
      request = JSON.readTree(body);
    } catch (JsonProcessingException notJson) {
      send(exchange, 400, error("not JSON"));
      return;
    }
    send(exchange, 200, work.apply(request));
  }

  private interface Work extends Function<JsonNode, ObjectNode> {}

  private static ObjectNode error(String why) {
    return JsonNodeFactory.instance.objectNode().put("error", why);
  }

  private static void send(HttpExchange exchange, int code, ObjectNode answer) throws IOException {
    byte[] body = answer.toString().getBytes(StandardCharsets.UTF_8);
    exchange.getResponseHeaders().set("Content-Type", "application/json");
    exchange.sendResponseHeaders(code, body.length);
    exchange.getResponseBody().write(body);
  }
}
