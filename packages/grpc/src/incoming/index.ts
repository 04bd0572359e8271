import type { ServerInterceptor, ServerOptions } from "@grpc/grpc-js";
import type { GrpcTracingOptions } from "../options.js";
import { TracedServerCall } from "./call.js";
import { ServerTracing } from "./server-tracing.js";

/**
 * Returns options for a server that runs each handler in its caller's trace, inside a SERVER span:
 * `new Server(withServerTracing())`. The given options are not changed; their interceptors come after ours.
 *
 * @throws TypeError when an option is wrong; it names the option and its value.
 */
export function withServerTracing(
  serverOptions: ServerOptions = {},
  options: GrpcTracingOptions = {},
): ServerOptions {
  // `null` is none, as grpc-js takes it.
  const others = (serverOptions.interceptors ?? []).filter(
    (interceptor) => !tracingInterceptors.has(interceptor),
  );
  return { ...serverOptions, interceptors: [serverInterceptor(options), ...others] };
}

/**
 * Returns the interceptor that `withServerTracing` puts first. Put it first yourself too: only the handler and the
 * interceptors after it see the context.
 *
 * @throws TypeError when an option is wrong; it names the option and its value.
 */
export function serverInterceptor(options: GrpcTracingOptions = {}): ServerInterceptor {
  const tracing = new ServerTracing(options);
  const interceptor: ServerInterceptor = (method, nextCall) =>
    new TracedServerCall(tracing, method, nextCall);
  tracingInterceptors.add(interceptor);
  return interceptor;
}

// The interceptors made here, so that options wrapped twice do not make two spans.
const tracingInterceptors = new WeakSet<ServerInterceptor>();
