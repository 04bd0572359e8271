// Chooses by the variable INSTRUMENTATION which libraries trace a role: our adapters, or the stock instrumentations of
// OpenTelemetry and BullMQ. The others are not loaded.
import type { ClientOptions, ServerOptions } from "@grpc/grpc-js";
import type { DynamicModule } from "@nestjs/common";
import { isWrapped } from "@opentelemetry/instrumentation";
import type { NodeSDKConfiguration } from "@opentelemetry/sdk-node";
import type { TracingModuleOptions } from "@traceferry/nestjs";
import type { Telemetry } from "bullmq";
import type { Kafka } from "kafkajs";

/** True when stock instrumentations trace this role. `readConfig` rejects unknown values. */
export const IS_STOCK = process.env.INSTRUMENTATION === "stock";

/** Returns a client whose producers and consumers are traced. */
export async function tracedKafka(kafka: Kafka): Promise<Kafka> {
  if (IS_STOCK) return requirePatched("kafkajs", kafka.producer, kafka);
  const { traceKafka } = await import("@traceferry/kafka");
  return traceKafka(kafka);
}

/** Options of a gRPC server whose calls are traced, except health checks. */
export async function serverOptions(): Promise<ServerOptions> {
  if (IS_STOCK) {
    const { Server } = await import("@grpc/grpc-js");
    return requirePatched("@grpc/grpc-js", Server.prototype.register, {});
  }
  const { withServerTracing } = await import("@traceferry/grpc");
  return withServerTracing({}, { ignore: (path) => path.startsWith("/grpc.health.v1.Health/") });
}

/** Options of a gRPC client whose calls are traced. */
export async function clientOptions(): Promise<ClientOptions> {
  if (IS_STOCK) {
    const { Client } = await import("@grpc/grpc-js");
    return requirePatched("@grpc/grpc-js", Client.prototype.makeUnaryRequest, {});
  }
  const { withClientTracing } = await import("@traceferry/grpc");
  return withClientTracing();
}

/** The `telemetry` option of BullMQ's queues and workers. */
export async function queueTelemetry(): Promise<Telemetry> {
  if (IS_STOCK) {
    const { BullMQOtel } = await import("bullmq-otel");
    return new BullMQOtel();
  }
  const { bullmqTelemetry } = await import("@traceferry/bullmq");
  return bullmqTelemetry();
}

/** The modules that trace the incoming requests and messages of a Nest application. */
export async function edgeModules(options: TracingModuleOptions = {}): Promise<DynamicModule[]> {
  // Node's http and kafkajs are patched already.
  if (IS_STOCK) return [];
  const { TracingModule } = await import("@traceferry/nestjs");
  return [TracingModule.forRoot(options)];
}

/** The settings of the SDK beside its environment variables. */
export async function sdkSettings(): Promise<Partial<NodeSDKConfiguration>> {
  if (IS_STOCK) {
    const { stockInstrumentations } = await import("./stock-instrumentations.js");
    return { instrumentations: stockInstrumentations() };
  }
  const { UndiciInstrumentation } = await import("@opentelemetry/instrumentation-undici");
  // Subscribes to a diagnostics channel, so that calls of fetch get a CLIENT span. Nothing is patched.
  const instrumentations = [new UndiciInstrumentation()];
  // OTEL_PROPAGATORS overrides our propagator; with "none" the service breaks the trace.
  if (process.env.OTEL_PROPAGATORS !== undefined) return { instrumentations };
  const { w3cPropagator } = await import("@traceferry/core");
  return { instrumentations, textMapPropagator: w3cPropagator() };
}

// A stock role without its preload would run, and break every trace without an error.
function requirePatched<T>(library: string, method: unknown, value: T): T {
  if (isWrapped(method)) return value;
  throw new Error(`${library} is not instrumented: INSTRUMENTATION=stock needs --import stock.js`);
}
