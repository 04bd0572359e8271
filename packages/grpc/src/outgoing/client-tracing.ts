import { type ChannelInterface, Client, type InterceptorOptions } from "@grpc/grpc-js";
import { type Context, SpanKind } from "@opentelemetry/api";
import { type ActiveSpan, Instrumenter } from "@traceferry/core";
import { type Address, memoize, peerAddress, targetAddress } from "../attributes/address.js";
import { callAttributes, methodOf } from "../attributes/index.js";
import { type GrpcTracingOptions, type IncomingCall, SETTINGS, safeIgnore } from "../options.js";

/**
 * The key of a call's state in its options, which take it from the transformer to the interceptor: grpc-js copies
 * them with their symbols.
 */
export const CALL_STATE = Symbol("traceferry.grpc.call");

/** The state of one call: the server's address, known to its transformer, and the span that its interceptor starts. */
export class CallState {
  readonly server: Address;
  span: ActiveSpan | undefined;

  constructor(server: Address) {
    this.server = server;
  }
}

/** The tracing of one client: all of its calls share it. */
export class ClientTracing {
  readonly instrumenter: Instrumenter<IncomingCall>;
  /** Parses what `getPeer` of a call returns; undefined where that is no connection's address. */
  readonly parsePeer = memoize(peerAddress);
  readonly #isIgnored: ((path: string) => boolean) | undefined;
  readonly #servers = new WeakMap<ChannelInterface, Address>();

  /** @throws TypeError when an option is wrong; it names the option and its value. */
  constructor(options: GrpcTracingOptions) {
    this.instrumenter = new Instrumenter(SETTINGS, options);
    this.#isIgnored = safeIgnore(options, this.instrumenter.reporter);
  }

  /** Returns the address that a channel leads to. The channel is asked for it once. */
  serverAddress(channel: ChannelInterface): Address {
    const cached = this.#servers.get(channel);
    if (cached !== undefined) return cached;
    const server = targetAddress(channel.getTarget());
    this.#servers.set(channel, server);
    return server;
  }

  /** Starts the span of a call; undefined where the call gets none of ours. */
  startSpan(options: InterceptorOptions, parent: Context): ActiveSpan | undefined {
    const { path } = options.method_definition;
    if (this.#isIgnored?.(path) === true || this.#isPatched()) return undefined;
    const state = callStateIn(options);
    const method = methodOf(path);
    const span = this.instrumenter.startSpan({
      name: method,
      kind: SpanKind.CLIENT,
      attributes: callAttributes(method, state?.server),
      parent,
    });
    if (state !== undefined) state.span = span;
    return span;
  }

  // The patched method runs the whole call inside its CLIENT span, which is the active one here: ours would be a
  // second one.
  #isPatched(): boolean {
    const request: unknown = Client.prototype.makeUnaryRequest;
    if (typeof request !== "function" || !("__wrapped" in request)) return false;
    if (request.__wrapped !== true) return false;
    this.instrumenter.reporter.once(
      "patched",
      "instrumentation-grpc is active: its CLIENT spans are used, none are made here",
    );
    return true;
  }
}

function callStateIn(options: InterceptorOptions): CallState | undefined {
  const state: unknown = CALL_STATE in options ? options[CALL_STATE] : undefined;
  return state instanceof CallState ? state : undefined;
}
