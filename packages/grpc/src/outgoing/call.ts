import {
  InterceptingCall,
  type InterceptingListener,
  type InterceptorOptions,
  type Metadata,
  type NextCall,
  type StatusObject,
  status,
} from "@grpc/grpc-js";
import { type Context, context } from "@opentelemetry/api";
import type { ActiveSpan } from "@traceferry/core";
import type { Address } from "../attributes/address.js";
import { statusAttributes, statusName } from "../attributes/index.js";
import { writeMetadata } from "../carrier/metadata.js";
import type { ClientTracing } from "./client-tracing.js";

// A type that grpc-js has and does not export.
type Message = Parameters<InterceptingListener["onReceiveMessage"]>[0];

/** A call of a client: it carries its caller's trace, and its span ends with the status that is received. */
export class TracedClientCall extends InterceptingCall {
  readonly #tracing: ClientTracing;
  readonly #options: InterceptorOptions;
  readonly #callerContext = context.active();

  constructor(tracing: ClientTracing, options: InterceptorOptions, next: ReturnType<NextCall>) {
    super(next);
    this.#tracing = tracing;
    this.#options = options;
  }

  // Synchronous throughout: else grpc-js would send the first message past the interceptors after ours.
  override start(metadata: Metadata, listener: Partial<InterceptingListener> = {}): void {
    const { instrumenter } = this.#tracing;
    let span: ActiveSpan | undefined;
    let sent = metadata;
    try {
      span = this.#tracing.startSpan(this.#options, this.#callerContext);
      const injection = instrumenter.inject(span?.context ?? this.#callerContext);
      if (injection !== undefined) {
        sent = writeMetadata(metadata, injection, instrumenter.reporter);
      }
    } catch (error) {
      instrumenter.reporter.fault("send", error);
    }
    const tracedListener = new TracedClientListener(
      this,
      this.#tracing,
      this.#options,
      listener,
      this.#callerContext,
      span,
    );
    try {
      super.start(sent, tracedListener);
    } catch (thrown) {
      span?.fail(thrown);
      span?.end();
      throw thrown;
    }
  }
}

/**
 * Runs the caller's listener in the caller's context, and ends the span. Without it the listeners of concurrent
 * calls run in the context of the call that happened to open their connection.
 */
class TracedClientListener implements InterceptingListener {
  readonly #call: TracedClientCall;
  readonly #tracing: ClientTracing;
  readonly #options: InterceptorOptions;
  readonly #listener: Partial<InterceptingListener>;
  readonly #callerContext: Context;
  readonly #span: ActiveSpan | undefined;
  #hasResponse = false;

  constructor(
    call: TracedClientCall,
    tracing: ClientTracing,
    options: InterceptorOptions,
    listener: Partial<InterceptingListener>,
    callerContext: Context,
    span: ActiveSpan | undefined,
  ) {
    this.#call = call;
    this.#tracing = tracing;
    this.#options = options;
    this.#listener = listener;
    this.#callerContext = callerContext;
    this.#span = span;
  }

  onReceiveMetadata(metadata: Metadata): void {
    this.#runInContext(this.#listener.onReceiveMetadata, metadata);
  }

  onReceiveMessage(message: Message): void {
    // grpc-js passes `null` for the missing response of a unary call.
    if (message !== null) this.#hasResponse = true;
    this.#runInContext(this.#listener.onReceiveMessage, message);
  }

  onReceiveStatus(received: StatusObject): void {
    if (this.#span !== undefined) this.#endSpan(this.#span, received);
    this.#runInContext(this.#listener.onReceiveStatus, received);
  }

  #runInContext<Arg>(event: ((arg: Arg) => void) | undefined, arg: Arg): void {
    if (event !== undefined) context.with(this.#callerContext, event, this.#listener, arg);
  }

  #endSpan(span: ActiveSpan, { code, details }: StatusObject): void {
    let peer: Address | undefined;
    try {
      peer = this.#tracing.parsePeer(this.#call.getPeer());
    } catch (error) {
      this.#tracing.instrumenter.reporter.fault("peer", error);
    }
    const isUnary = !this.#options.method_definition.responseStream;
    if (code === status.OK && isUnary && !this.#hasResponse) {
      // The error that grpc-js makes of this for the caller, behind our listener.
      endSpan(span, status.UNIMPLEMENTED, "No message received", peer);
    } else endSpan(span, code, details, peer);
  }
}

/** Ends the span of a stream that its caller abandoned before its end: grpc-js holds the status back. */
export function endAbandoned(span: ActiveSpan): void {
  endSpan(span, status.CANCELLED, "the caller abandoned the stream");
}

function endSpan(span: ActiveSpan, code: number, details: unknown, peer?: Address): void {
  const name = statusName(code);
  span.set(statusAttributes(name, peer));
  if (code !== status.OK) span.fail(details === "" ? name : details, name);
  span.end();
}
