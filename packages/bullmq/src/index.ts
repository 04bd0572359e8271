// For users.

export { extractJobContext, injectJobOptions, type JobLike } from "./carrier/index.js";
export type { JobCarrier } from "./carrier/metadata.js";
export type { BullMQTelemetryOptions, IncomingJob } from "./options.js";
export { bullmqTelemetry } from "./telemetry/index.js";
