// The instrumentations of OpenTelemetry with their defaults, except for health checks and the header X-Trace-Id.
import type { IncomingMessage, ServerResponse } from "node:http";
import { isSpanContextValid, type Span } from "@opentelemetry/api";
import type { Instrumentation } from "@opentelemetry/instrumentation";
import { GrpcInstrumentation } from "@opentelemetry/instrumentation-grpc";
import { HttpInstrumentation } from "@opentelemetry/instrumentation-http";
import { KafkaJsInstrumentation } from "@opentelemetry/instrumentation-kafkajs";
import { UndiciInstrumentation } from "@opentelemetry/instrumentation-undici";

/** The instrumentations of a stock role. */
export function stockInstrumentations(): Instrumentation[] {
  return [
    new HttpInstrumentation({
      ignoreIncomingRequestHook: ({ url }) => url === "/healthz" || url === "/readyz",
      responseHook: setTraceIdHeader,
    }),
    // It compares the method without its service: these are the methods of grpc.health.v1.Health.
    new GrpcInstrumentation({ ignoreGrpcMethods: ["Check", "List", "Watch"] }),
    new KafkaJsInstrumentation(),
    new UndiciInstrumentation(),
  ];
}

/** Sets the header X-Trace-Id. Called for a request that came in, before its response is written. */
function setTraceIdHeader(span: Span, response: IncomingMessage | ServerResponse): void {
  const { traceId } = span.spanContext();
  if ("setHeader" in response && isSpanContextValid(span.spanContext())) {
    response.setHeader("X-Trace-Id", traceId);
  }
}
