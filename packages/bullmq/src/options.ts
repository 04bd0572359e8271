import type { InstrumenterSettings, TracingOptions } from "@traceferry/core";
import type { JobCarrier } from "./carrier/metadata.js";
import { VERSION } from "./version.js";

/** A job that a worker is about to process, as a `relation` function gets it. */
export interface IncomingJob {
  /** The name of its queue, without prefix; `""` where it is unknown. */
  readonly queue: string;
  /** The fields of its metadata, by lower-case key. They are untrusted: check them before use. */
  readonly carrier: JobCarrier;
}

/** The options of `bullmqTelemetry`, all optional. `maxBytes` is 8192 by default. */
export interface BullMQTelemetryOptions extends TracingOptions<IncomingJob> {}

/** The names and defaults of this adapter, for its instrumenters. */
export const SETTINGS: InstrumenterSettings = {
  name: "bullmq",
  scope: "@traceferry/bullmq",
  version: VERSION,
  messaging: true,
  maxBytes: 8192,
};
