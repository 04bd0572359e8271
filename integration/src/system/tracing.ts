// Starts the SDK when it is imported. The standard OTEL_* variables configure it. Every traced role imports this file.
// With our adapters the order of imports does not matter, because nothing is patched. The preload of stock roles imports
// it first.
import { NodeSDK } from "@opentelemetry/sdk-node";
import { sdkSettings } from "./adapters.js";

// By the specification OTEL_SDK_DISABLED has no effect on propagators, but NodeSDK would then install neither propagator
// nor context manager. Here such a role makes no span and still passes the context on.
const disabled = process.env.OTEL_SDK_DISABLED?.trim().toLowerCase() === "true";
if (disabled) delete process.env.OTEL_SDK_DISABLED;

const sdk = new NodeSDK({
  ...(await sdkSettings()),
  ...(disabled && { spanProcessors: [], metricReaders: [], logRecordProcessors: [] }),
});
sdk.start();

/** Exports the remaining spans and shuts the SDK down. */
export async function flushTracing(): Promise<void> {
  await sdk.shutdown();
}
