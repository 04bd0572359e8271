// The incumbents, as a service in the wild has them, but for health checks and the header X-Trace-Id.
import type { IncomingMessage, ServerResponse } from "node:http";
import { isSpanContextValid, type Span } from "@opentelemetry/api";
import type { Instrumentation } from "@opentelemetry/instrumentation";
import { GrpcInstrumentation } from "@opentelemetry/instrumentation-grpc";
import { HttpInstrumentation } from "@opentelemetry/instrumentation-http";
import { KafkaJsInstrumentation } from "@opentelemetry/instrumentation-kafkajs";
import { UndiciInstrumentation } from "@opentelemetry/instrumentation-undici";

export function stockInstrumentations(): Instrumentation[] {
  return [
    new HttpInstrumentation({
      ignoreIncomingRequestHook: ({ url }) => url === "/healthz" || url === "/readyz",
      responseHook: setTraceIdHeader,
    }),
    // It knows methods by their last name only: these are the ones of grpc.health.v1.Health.
    new GrpcInstrumentation({ ignoreGrpcMethods: ["Check", "List", "Watch"] }),
    new KafkaJsInstrumentation(),
    new UndiciInstrumentation(),
  ];
}

/** Called when a request has come in, with the answer that is yet to be written. */
function setTraceIdHeader(span: Span, response: IncomingMessage | ServerResponse): void {
  const { traceId } = span.spanContext();
  if ("setHeader" in response && isSpanContextValid(span.spanContext())) {
    response.setHeader("X-Trace-Id", traceId);
  }
}
