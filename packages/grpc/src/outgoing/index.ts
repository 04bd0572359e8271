import {
  type CallInvocationTransformer,
  type CallOptions,
  Client,
  type ClientOptions,
  type Interceptor,
  type InterceptorOptions,
  type InterceptorProvider,
} from "@grpc/grpc-js";
import { type Context, SpanKind } from "@opentelemetry/api";
import { type ActiveSpan, Instrumenter } from "@traceferry/core";
import { type Address, memoize, peerAddress, targetAddress } from "../attributes/address.js";
import { callAttributes, methodOf } from "../attributes/index.js";
import { type GrpcTracingOptions, type IncomingCall, SETTINGS, safeIgnore } from "../options.js";
import { type CallsOfClient, finishAsLetGo, TracedCall } from "./call.js";

type Properties = Parameters<CallInvocationTransformer>[0];

/**
 * Gives the options of a client that sends its caller's trace with each call, inside a CLIENT span:
 * `new OrdersClient(address, credentials, withClientTracing())`. The given options stay as they are; their
 * interceptors come behind ours, and so do those that a single call brings along.
 *
 * @throws TypeError when an option is wrong; it names the option and its value.
 */
export function withClientTracing(
  clientOptions: ClientOptions = {},
  options: GrpcTracingOptions = {},
): ClientOptions {
  const calls = new OutgoingCalls(options);
  const transform = clientOptions.callInvocationTransformer;
  return {
    ...clientOptions,
    ...calls.first(clientOptions),
    callInvocationTransformer: (properties) =>
      calls.prepare(transform === undefined ? properties : transform(properties)),
  };
}

/**
 * Makes the interceptor alone, for a client whose other options are out of reach. It does not know the server's
 * address, it is gone from a call that brings interceptors along, and a stream that is let go, by `break` or
 * `destroy()`, leaves its span without an end: prefer `withClientTracing`, which has none of these limits.
 *
 * @throws TypeError when an option is wrong; it names the option and its value.
 */
export function clientInterceptor(options: GrpcTracingOptions = {}): Interceptor {
  return new OutgoingCalls(options).interceptor;
}

// Options that were wrapped twice must not make two spans.
const ours = new WeakSet<Interceptor | InterceptorProvider>();
const notOurs = (other: Interceptor | InterceptorProvider): boolean => !ours.has(other);

// Takes what we know of a call from the transformer to the interceptor: grpc-js copies a call's options,
// symbols included.
const STATE = Symbol("traceferry.grpc.call");

class CallState {
  readonly server: Address | undefined;
  span: ActiveSpan | undefined;

  constructor(server: Address | undefined) {
    this.server = server;
  }
}

class OutgoingCalls implements CallsOfClient {
  readonly instrumenter: Instrumenter<IncomingCall>;
  readonly interceptor: Interceptor;
  readonly peerOf = memoize(peerAddress);
  readonly #provider: InterceptorProvider;
  readonly #ignores: ((path: string) => boolean) | undefined;
  readonly #servers = new WeakMap<Properties["channel"], Address>();

  constructor(options: GrpcTracingOptions) {
    this.instrumenter = new Instrumenter(SETTINGS, options);
    this.#ignores = safeIgnore(options, this.instrumenter.reporter);
    this.interceptor = (callOptions, nextCall) =>
      new TracedCall(this, callOptions, nextCall(callOptions));
    this.#provider = () => this.interceptor;
    ours.add(this.interceptor).add(this.#provider);
  }

  /** The lists with us at their head, in the form the user chose: grpc-js takes only one of the two. */
  first(lists: Pick<CallOptions, "interceptors" | "interceptor_providers">): CallOptions {
    const { interceptors = [], interceptor_providers: providers = [] } = lists;
    return providers.length > 0
      ? { interceptor_providers: [this.#provider, ...providers.filter(notOurs)] }
      : { interceptors: [this.interceptor, ...interceptors.filter(notOurs)] };
  }

  /** Does what an interceptor cannot: it sees the channel, a call's own interceptors, and a stream let go. */
  prepare(properties: Properties): Properties {
    try {
      const { call, callOptions: given, channel, methodDefinition } = properties;
      const state = new CallState(this.#serverOf(channel));
      const callOptions = { ...given, [STATE]: state };
      // A call's own lists replace the client's, and us with them; empty ones do not.
      if (given.interceptors?.length || given.interceptor_providers?.length) {
        Object.assign(callOptions, this.first(given));
      }
      if (methodDefinition.requestStream || methodDefinition.responseStream) {
        call.once("close", () => {
          // A stream of requests closes when all is written; its status is yet to come.
          if (!methodDefinition.responseStream && isWritten(call)) return;
          setImmediate(letGo, state);
        });
      }
      return { ...properties, callOptions };
    } catch (error) {
      this.instrumenter.reporter.fault("prepare call", error);
      return properties;
    }
  }

  #serverOf(channel: Properties["channel"]): Address {
    const known = this.#servers.get(channel);
    if (known !== undefined) return known;
    const server = targetAddress(channel.getTarget());
    this.#servers.set(channel, server);
    return server;
  }

  open(options: InterceptorOptions, caller: Context): ActiveSpan | undefined {
    const { path } = options.method_definition;
    if (this.#ignores?.(path) === true || this.#arePatched()) return undefined;
    const found: unknown = STATE in options ? options[STATE] : undefined;
    const state = found instanceof CallState ? found : undefined;
    const method = methodOf(path);
    const span = this.instrumenter.startSpan({
      name: method,
      kind: SpanKind.CLIENT,
      attributes: callAttributes(method, state?.server),
      parent: caller,
    });
    if (state !== undefined) state.span = span;
    return span;
  }

  // Then its client span is around us, and the active one.
  #arePatched(): boolean {
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

function isWritten(call: object): boolean {
  return "writableFinished" in call && call.writableFinished === true;
}

function letGo({ span }: CallState): void {
  if (span !== undefined) finishAsLetGo(span);
}
