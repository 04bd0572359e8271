import { assembleTraces, diagnose, renderWaterfall, type Span } from "@traceferry/traces";
import {
  type OtlpReceiver,
  type ReceiverOptions,
  startReceiver as startBareReceiver,
} from "@traceferry/traces/receiver";

/**
 * Starts an OTLP receiver, as `@traceferry/traces/receiver` does, whose errors on giving up show the waterfall of
 * what arrived and a verdict per hop.
 */
export function startReceiver(options: ReceiverOptions = {}): Promise<OtlpReceiver> {
  return startBareReceiver({ describe: describeWithWaterfall, ...options });
}

function describeWithWaterfall(wanted: readonly Span[], all: readonly Span[]): string {
  return renderWaterfall(assembleTraces(wanted), { diagnosis: diagnose(all) });
}
