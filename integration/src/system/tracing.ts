// Imported by every traced role: spans are made, exported, and flushed at the end. The place of the import does
// not matter, because nothing is patched. The standard OTEL_* variables configure all of it.
import { UndiciInstrumentation } from "@opentelemetry/instrumentation-undici";
import { NodeSDK } from "@opentelemetry/sdk-node";
import { w3cPropagator } from "@traceferry/core";

const sdk = new NodeSDK({
  // Whoever sets OTEL_PROPAGATORS gets what it names; "none" is how a service loses its traces.
  ...(process.env.OTEL_PROPAGATORS === undefined && { textMapPropagator: w3cPropagator() }),
  // Listens to a diagnostics channel: calls of fetch get their CLIENT span, nothing is patched.
  instrumentations: [new UndiciInstrumentation()],
});
sdk.start();

/** Sends what is still held back, then stops. */
export async function flushTracing(): Promise<void> {
  await sdk.shutdown();
}
