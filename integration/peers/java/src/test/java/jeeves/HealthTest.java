package jeeves;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.OptionalInt;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class HealthTest {
  @Test
  @DisplayName("a request that was sent by half does not hold up the health checks of others")
  void halfSent() throws Exception {
    int port = freePort();
    Config config = new Config("127.0.0.1", 0, "none:9092", OptionalInt.of(port), false);
    try (Health health = Health.serve(config, () -> true);
        Socket slow = new Socket("127.0.0.1", port)) {
      slow.getOutputStream().write("GET /readyz HT".getBytes(StandardCharsets.US_ASCII));

      for (int i = 0; i < 5; i++) assertEquals("200 {\"status\":\"ok\"}", get(port, "/readyz"));
    }
  }

  private static String get(int port, String path) throws IOException, InterruptedException {
    HttpRequest request =
        HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + path))
            .timeout(Duration.ofSeconds(5))
            .build();
    var response = HttpClient.newHttpClient().send(request, BodyHandlers.ofString());
    return response.statusCode() + " " + response.body();
  }

  private static int freePort() throws IOException {
    try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return free.getLocalPort();
    }
  }
}
