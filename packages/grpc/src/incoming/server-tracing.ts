import { Server } from "@grpc/grpc-js";
import { Instrumenter } from "@traceferry/core";
import { hostAddress, memoize } from "../attributes/address.js";
import { type GrpcTracingOptions, type IncomingCall, SETTINGS, safeIgnore } from "../options.js";

/** The tracing of one server: all of its calls share it. */
export class ServerTracing {
  readonly instrumenter: Instrumenter<IncomingCall>;
  /** Parses the host that a client asked for; undefined where it is too long to be one. */
  readonly parseHost = memoize(hostAddress);
  readonly #isIgnored: ((path: string) => boolean) | undefined;

  /** @throws TypeError when an option is wrong; it names the option and its value. */
  constructor(options: GrpcTracingOptions) {
    this.instrumenter = new Instrumenter(SETTINGS, options);
    this.#isIgnored = safeIgnore(options, this.instrumenter.reporter);
  }

  /** True for a call that gets a span of ours. */
  isTraced(path: string): boolean {
    return this.#isIgnored?.(path) !== true && !this.#isPatched();
  }

  // The patched `register` makes its SERVER span behind our interceptor, nearer to the handler, from the same
  // metadata: ours would be a second one.
  #isPatched(): boolean {
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
