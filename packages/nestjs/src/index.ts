// For users.

export { extractRpcContext, injectPacket, type Packet } from "./carrier/index.js";
export { TracingInterceptor } from "./incoming/index.js";
export { TracingModule } from "./module.js";
export { type IgnoreRule, TRACING_OPTIONS, type TracingModuleOptions } from "./options.js";
