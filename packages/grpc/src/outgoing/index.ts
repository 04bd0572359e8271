import type {
  CallInvocationTransformer,
  CallOptions,
  ClientOptions,
  Interceptor,
  InterceptorProvider,
} from "@grpc/grpc-js";
import type { GrpcTracingOptions } from "../options.js";
import { endAbandoned, TracedClientCall } from "./call.js";
import { CALL_STATE, CallState, ClientTracing } from "./client-tracing.js";

type CallProperties = Parameters<CallInvocationTransformer>[0];

/**
 * Returns options for a client that sends its caller's trace with each call, inside a CLIENT span:
 * `new OrdersClient(address, credentials, withClientTracing())`. The given options are not changed; their
 * interceptors come after ours, and so do those that a single call brings along.
 *
 * @throws TypeError when an option is wrong; it names the option and its value.
 */
export function withClientTracing(
  clientOptions: ClientOptions = {},
  options: GrpcTracingOptions = {},
): ClientOptions {
  const interception = new ClientInterception(options);
  const transform = clientOptions.callInvocationTransformer;
  return {
    ...clientOptions,
    ...interception.prepend(clientOptions),
    callInvocationTransformer: (properties) =>
      interception.traceCall(transform === undefined ? properties : transform(properties)),
  };
}

/**
 * Returns the interceptor alone, for a client whose other options you cannot set. Prefer `withClientTracing`, which
 * has none of its limits: it does not know the server's address; a call with interceptors of its own goes without
 * it; and where the caller abandons a stream, by `break` or `destroy()`, the span never ends.
 *
 * @throws TypeError when an option is wrong; it names the option and its value.
 */
export function clientInterceptor(options: GrpcTracingOptions = {}): Interceptor {
  return new ClientInterception(options).interceptor;
}

// The interceptors and providers made here, so that options wrapped twice do not make two spans.
const tracingInterceptors = new WeakSet<Interceptor | InterceptorProvider>();
const isOther = (interceptor: Interceptor | InterceptorProvider): boolean =>
  !tracingInterceptors.has(interceptor);

/** Adds the interceptor to a client's calls, and prepares what interceptors cannot see. */
class ClientInterception {
  readonly interceptor: Interceptor;
  readonly #provider: InterceptorProvider;
  readonly #tracing: ClientTracing;

  constructor(options: GrpcTracingOptions) {
    const tracing = new ClientTracing(options);
    this.interceptor = (callOptions, nextCall) =>
      new TracedClientCall(tracing, callOptions, nextCall(callOptions));
    this.#provider = () => this.interceptor;
    this.#tracing = tracing;
    tracingInterceptors.add(this.interceptor).add(this.#provider);
  }

  /** Returns the list with ours first, of interceptors or of providers as it was given: grpc-js refuses both. */
  prepend(lists: Pick<CallOptions, "interceptors" | "interceptor_providers">): CallOptions {
    const { interceptors = [], interceptor_providers: providers = [] } = lists;
    return providers.length > 0
      ? { interceptor_providers: [this.#provider, ...providers.filter(isOther)] }
      : { interceptors: [this.interceptor, ...interceptors.filter(isOther)] };
  }

  /** Prepares a call for the interceptor, which does not get its channel, its own interceptors or its stream. */
  traceCall(properties: CallProperties): CallProperties {
    try {
      const { call, callOptions, channel, methodDefinition } = properties;
      const state = new CallState(this.#tracing.serverAddress(channel));
      const tracedOptions = { ...callOptions, [CALL_STATE]: state };
      // Lists of the call replace the client's, and ours with them; empty ones do not.
      if (callOptions.interceptors?.length || callOptions.interceptor_providers?.length) {
        Object.assign(tracedOptions, this.prepend(callOptions));
      }
      if (methodDefinition.requestStream || methodDefinition.responseStream) {
        call.once("close", () => {
          // A stream of requests alone closes when all are written; its status is yet to come.
          if (!methodDefinition.responseStream && isWritten(call)) return;
          setImmediate(endSpanOf, state);
        });
      }
      return { ...properties, callOptions: tracedOptions };
    } catch (error) {
      this.#tracing.instrumenter.reporter.fault("prepare call", error);
      return properties;
    }
  }
}

function isWritten(call: object): boolean {
  return "writableFinished" in call && call.writableFinished === true;
}

function endSpanOf({ span }: CallState): void {
  if (span !== undefined) endAbandoned(span);
}
