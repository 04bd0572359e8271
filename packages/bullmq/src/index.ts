// For users.
export type { JobCarrier } from "./carrier.js";
export { extractJobContext, type JobLike } from "./incoming.js";
export type { BullMQTelemetryOptions, IncomingJob } from "./options.js";
export { injectJobOptions } from "./outgoing.js";
export { bullmqTelemetry } from "./telemetry/index.js";
