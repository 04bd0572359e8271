// For users.
export { extractRpcContext, injectPacket, type Packet } from "./carrier/index.js";
export { TracingInterceptor } from "./incoming/interceptor.js";
export { TracingModule } from "./module.js";
export type { IgnoreRule, TracingModuleOptions } from "./options.js";
// For adapters.
export { TRACING_OPTIONS } from "./options.js";
