import { startCollector, startJaeger } from "../backends/index.js";

/** A trace backend for people. It gets every span that the demo's own receiver gets. */
export interface DemoBackend extends AsyncDisposable {
  /** The OTLP address that the roles export to. */
  readonly otlpUrl: string;
  /** The address of the page of one trace. */
  traceUrl(traceId: string): string;
}

/** Starts Jaeger behind a collector that keeps every trace and also sends it to `receiverUrl`. */
export async function startDemoBackend(
  receiverUrl: string,
  options: { readonly log: (line: string) => void; readonly signal: AbortSignal },
): Promise<DemoBackend> {
  const jaeger = await startJaeger(options);
  try {
    const collector = await startCollector({
      ...options,
      exportTo: [receiverUrl, jaeger.otlpUrl],
      keepPercent: 100,
      decisionWaitMs: 2000,
      rootWaitMs: 1000,
    });
    return {
      otlpUrl: collector.otlpUrl,
      traceUrl: (traceId) => jaeger.traceUrl(traceId),
      [Symbol.asyncDispose]: async () => {
        await collector[Symbol.asyncDispose]();
        await jaeger[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await jaeger[Symbol.asyncDispose]();
    throw error;
  }
}
