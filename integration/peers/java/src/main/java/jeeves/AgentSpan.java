package jeeves;

import io.opentelemetry.api.GlobalOpenTelemetry;
import io.opentelemetry.api.baggage.Baggage;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.StatusCode;

/** The application's own span around the work of the tool. The agent exports it. */
final class AgentSpan {
  private static final String AGENT = "executor";
  private static final String REQUEST_ID = "jeeves.request.id";

  private AgentSpan() {}

  static Span start() {
    String requestId = Baggage.current().getEntryValue(REQUEST_ID);
    return GlobalOpenTelemetry.getTracer("jeeves")
        .spanBuilder("agent.process")
        .setAttribute("jeeves.agent.name", AGENT)
        .setAttribute("jeeves.agent.type", "tool")
        .setAttribute("jeeves.llm.calls", 0)
        .setAttribute(REQUEST_ID, requestId == null ? "" : requestId)
        .setAttribute("gen_ai.operation.name", "invoke_agent")
        .setAttribute("gen_ai.agent.name", AGENT)
        .startSpan();
  }

  /** Ends it; the error, where there is one, marks it. */
  static void end(Span span, Throwable error) {
    if (error != null) {
      span.recordException(error);
      span.setStatus(StatusCode.ERROR, Output.messageOf(error));
    }
    span.end();
  }
}
