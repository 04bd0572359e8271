import type { InstrumenterSettings, TracingOptions } from "@traceferry/core";
import type { JobCarrier } from "./carrier/metadata.js";
import { VERSION } from "./version.js";

/** What the option `relation` is asked about: a job that a worker is about to process. */
export interface IncomingJob {
  /** The queue it came from, without prefix; `""` where nobody knows it. */
  readonly queue: string;
  /** What the sender wrote for us, by lower-case key. Strangers write it: check before use. */
  readonly carrier: JobCarrier;
}

/** What `bullmqTelemetry` takes. All of it may be left out; `maxBytes` is 8192 by default. */
export interface BullMQTelemetryOptions extends TracingOptions<IncomingJob> {}

export const SETTINGS: InstrumenterSettings = {
  name: "bullmq",
  scope: "@traceferry/bullmq",
  version: VERSION,
  messaging: true,
  maxBytes: 8192,
};
