// Which libraries trace a role, chosen in this one place by the variable INSTRUMENTATION: ours, or those that
// somebody else's service would have. What is not chosen is not loaded.
import type { ClientOptions, ServerOptions } from "@grpc/grpc-js";
import type { DynamicModule } from "@nestjs/common";
import { isWrapped } from "@opentelemetry/instrumentation";
import type { NodeSDKConfiguration } from "@opentelemetry/sdk-node";
import type { TracingModuleOptions } from "@traceferry/nestjs";
import type { Telemetry } from "bullmq";
import type { Kafka } from "kafkajs";

/** Whether others trace this role. `readConfig` refuses values that mean nothing. */
export const IS_STOCK = process.env.INSTRUMENTATION === "stock";

/** A client whose producers and consumers are traced. */
export async function tracedKafka(kafka: Kafka): Promise<Kafka> {
  if (IS_STOCK) return requirePatched("kafkajs", kafka.producer, kafka);
  const { traceKafka } = await import("@traceferry/kafka");
  return traceKafka(kafka);
}

/** For `new Server(...)`: its calls are traced, health checks are not. */
export async function serverOptions(): Promise<ServerOptions> {
  if (IS_STOCK) {
    const { Server } = await import("@grpc/grpc-js");
    return requirePatched("@grpc/grpc-js", Server.prototype.register, {});
  }
  const { withServerTracing } = await import("@traceferry/grpc");
  return withServerTracing({}, { ignore: (path) => path.startsWith("/grpc.health.v1.Health/") });
}

/** For `new Client(...)`: its calls are traced. */
export async function clientOptions(): Promise<ClientOptions> {
  if (IS_STOCK) {
    const { Client } = await import("@grpc/grpc-js");
    return requirePatched("@grpc/grpc-js", Client.prototype.makeUnaryRequest, {});
  }
  const { withClientTracing } = await import("@traceferry/grpc");
  return withClientTracing();
}

/** For queues and workers of BullMQ. */
export async function queueTelemetry(): Promise<Telemetry> {
  if (IS_STOCK) {
    const { BullMQOtel } = await import("bullmq-otel");
    return new BullMQOtel();
  }
  const { bullmqTelemetry } = await import("@traceferry/bullmq");
  return bullmqTelemetry();
}

/** The modules that a Nest application imports to be traced where requests and messages come in. */
export async function edgeModules(options: TracingModuleOptions = {}): Promise<DynamicModule[]> {
  // What brings the request is patched already: Node's http, or kafkajs.
  if (IS_STOCK) return [];
  const { TracingModule } = await import("@traceferry/nestjs");
  return [TracingModule.forRoot(options)];
}

/** What the SDK is told beside its variables. */
export async function sdkSettings(): Promise<Partial<NodeSDKConfiguration>> {
  if (IS_STOCK) {
    const { stockInstrumentations } = await import("./stock-instrumentations.js");
    return { instrumentations: stockInstrumentations() };
  }
  const { UndiciInstrumentation } = await import("@opentelemetry/instrumentation-undici");
  // Listens to a diagnostics channel: calls of fetch get their CLIENT span, nothing is patched.
  const instrumentations = [new UndiciInstrumentation()];
  // Whoever sets OTEL_PROPAGATORS gets what it names; "none" is how a service loses its traces.
  if (process.env.OTEL_PROPAGATORS !== undefined) return { instrumentations };
  const { w3cPropagator } = await import("@traceferry/core");
  return { instrumentations, textMapPropagator: w3cPropagator() };
}

// Without its preload a stock role would run, and lose every trace without a word.
function requirePatched<T>(library: string, method: unknown, value: T): T {
  if (isWrapped(method)) return value;
  throw new Error(`${library} is not instrumented: INSTRUMENTATION=stock needs --import stock.js`);
}
