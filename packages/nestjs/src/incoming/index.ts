export { ProcessingHooks } from "./hooks.js";
export { HttpIncoming } from "./http.js";
export { TracingInterceptor } from "./interceptor.js";
export { RpcIncoming } from "./rpc.js";
