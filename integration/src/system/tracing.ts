// Imported by every traced role: spans are made, exported, and flushed at the end. The standard OTEL_* variables
// configure all of it. With our adapters the place of the import does not matter, because nothing is patched; the
// preload of stock roles imports this first of all.
import { NodeSDK } from "@opentelemetry/sdk-node";
import { sdkSettings } from "./adapters.js";

// By the specification OTEL_SDK_DISABLED has no effect on propagators, but NodeSDK would install none, and no
// context manager. Such a service makes no span and still relays the context that it was called in.
const disabled = process.env.OTEL_SDK_DISABLED?.trim().toLowerCase() === "true";
if (disabled) delete process.env.OTEL_SDK_DISABLED;

const sdk = new NodeSDK({
  ...(await sdkSettings()),
  ...(disabled && { spanProcessors: [], metricReaders: [], logRecordProcessors: [] }),
});
sdk.start();

/** Sends what is still held back, then stops. */
export async function flushTracing(): Promise<void> {
  await sdk.shutdown();
}
