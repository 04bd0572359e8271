import { assembleTraces, diagnose, renderWaterfall, type Span } from "@traceferry/traces";
import {
  type OtlpReceiver,
  type ReceiverOptions,
  startReceiver as startTracesReceiver,
} from "@traceferry/traces/receiver";

/**
 * Starts the OTLP receiver of `@traceferry/traces/receiver`. When a wait fails, its error shows the waterfall of the
 * arrived spans with a verdict for each broken hop, unless the option `describe` says otherwise.
 *
 * @throws Error when a port is taken, or when `grpc` is true and `@grpc/grpc-js` is not installed.
 */
export function startReceiver(options: ReceiverOptions = {}): Promise<OtlpReceiver> {
  return startTracesReceiver({ describe: describeWithWaterfall, ...options });
}

function describeWithWaterfall(wanted: readonly Span[], all: readonly Span[]): string {
  return renderWaterfall(assembleTraces(wanted), { diagnosis: diagnose(all) });
}
