import { Server, type ServerInterceptor, type ServerOptions } from "@grpc/grpc-js";
import { Instrumenter } from "@traceferry/core";
import { hostAddress, memoize } from "../attributes/address.js";
import { type GrpcTracingOptions, type IncomingCall, SETTINGS, safeIgnore } from "../options.js";
import { type CallsOfServer, TracedServerCall } from "./call.js";

/**
 * Gives the options of a server that runs each handler in its caller's trace, inside a SERVER span:
 * `new Server(withServerTracing())`. The given options stay as they are; their interceptors come behind ours.
 *
 * @throws TypeError when an option is wrong; it names the option and its value.
 */
export function withServerTracing(
  serverOptions: ServerOptions = {},
  options: GrpcTracingOptions = {},
): ServerOptions {
  const others = serverOptions.interceptors?.filter((other) => !ours.has(other)) ?? [];
  return { ...serverOptions, interceptors: [serverInterceptor(options), ...others] };
}

/**
 * Makes the interceptor that `withServerTracing` puts first. Put it first as well: handlers and interceptors
 * behind it see the context.
 *
 * @throws TypeError when an option is wrong; it names the option and its value.
 */
export function serverInterceptor(options: GrpcTracingOptions = {}): ServerInterceptor {
  const calls = new IncomingCalls(options);
  const interceptor: ServerInterceptor = (definition, wire) =>
    new TracedServerCall(calls, definition, wire);
  ours.add(interceptor);
  return interceptor;
}

// Options that were wrapped twice must not make two spans.
const ours = new WeakSet<ServerInterceptor>();

class IncomingCalls implements CallsOfServer {
  readonly instrumenter: Instrumenter<IncomingCall>;
  readonly addressOf = memoize(hostAddress);
  readonly #ignores: ((path: string) => boolean) | undefined;

  constructor(options: GrpcTracingOptions) {
    this.instrumenter = new Instrumenter(SETTINGS, options);
    this.#ignores = safeIgnore(options, this.instrumenter.reporter);
  }

  hasSpan(path: string): boolean {
    return this.#ignores?.(path) !== true && !this.#arePatched();
  }

  // Then its server span comes to be behind us, nearer to the handler, and from the same metadata.
  #arePatched(): boolean {
    const register: unknown = Server.prototype.register;
    if (typeof register !== "function" || !("__wrapped" in register)) return false;
    if (register.__wrapped !== true) return false;
    this.instrumenter.reporter.once(
      "patched",
      "instrumentation-grpc is active: its SERVER spans are used, none are made here",
    );
    return true;
  }
}
