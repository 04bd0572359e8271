// For users.

export { extractMetadata, injectMetadata, type MetadataLike } from "./carrier/index.js";
export { serverInterceptor, withServerTracing } from "./incoming/index.js";
export type { GrpcTracingOptions, IncomingCall } from "./options.js";
export { clientInterceptor, withClientTracing } from "./outgoing/index.js";

// Adapters import from the entry point "./carrier".
