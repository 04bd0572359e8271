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
import type { ActiveSpan, Instrumenter } from "@traceferry/core";
import type { Address } from "../attributes/address.js";
import { statusAttributes, statusName } from "../attributes/index.js";
import { writeMetadata } from "../carrier/metadata.js";
import type { IncomingCall } from "../options.js";

// A type that grpc-js has and does not export.
type Message = Parameters<InterceptingListener["onReceiveMessage"]>[0];

/** What all calls of one client share. */
export interface CallsOfClient {
  readonly instrumenter: Instrumenter<IncomingCall>;
  readonly peerOf: (peer: string) => Address | undefined;
  /** Begins the span of a call, unless the call is to have none. */
  open(options: InterceptorOptions, caller: Context): ActiveSpan | undefined;
}

/** A call of the client's that takes its caller's trace along. */
export class TracedCall extends InterceptingCall {
  readonly #calls: CallsOfClient;
  readonly #options: InterceptorOptions;
  readonly #caller = context.active();

  constructor(calls: CallsOfClient, options: InterceptorOptions, next: ReturnType<NextCall>) {
    super(next);
    this.#calls = calls;
    this.#options = options;
  }

  // Nothing in here may wait: grpc-js would send the first message past the interceptors behind us.
  override start(metadata: Metadata, callers: Partial<InterceptingListener> = {}): void {
    const { instrumenter } = this.#calls;
    let span: ActiveSpan | undefined;
    let sent = metadata;
    try {
      span = this.#calls.open(this.#options, this.#caller);
      const injection = instrumenter.inject(span?.context ?? this.#caller);
      if (injection !== undefined) {
        sent = writeMetadata(metadata, injection, instrumenter.reporter);
      }
    } catch (error) {
      instrumenter.reporter.fault("send", error);
    }
    const answer = new CallersListener(
      this,
      this.#calls,
      this.#options,
      callers,
      this.#caller,
      span,
    );
    try {
      super.start(sent, answer);
    } catch (thrown) {
      span?.fail(thrown);
      span?.end();
      throw thrown;
    }
  }
}

/**
 * Hands what comes back to the caller, in the caller's context. Otherwise concurrent calls hear of theirs in the
 * context of the call that happened to open the connection.
 */
class CallersListener implements InterceptingListener {
  readonly #call: TracedCall;
  readonly #calls: CallsOfClient;
  readonly #options: InterceptorOptions;
  readonly #callers: Partial<InterceptingListener>;
  readonly #context: Context;
  readonly #span: ActiveSpan | undefined;
  #answered = false;

  constructor(
    call: TracedCall,
    calls: CallsOfClient,
    options: InterceptorOptions,
    callers: Partial<InterceptingListener>,
    callersContext: Context,
    span: ActiveSpan | undefined,
  ) {
    this.#call = call;
    this.#calls = calls;
    this.#options = options;
    this.#callers = callers;
    this.#context = callersContext;
    this.#span = span;
  }

  onReceiveMetadata(metadata: Metadata): void {
    this.#run(this.#callers.onReceiveMetadata, metadata);
  }

  onReceiveMessage(message: Message): void {
    // A unary call without an answer is told `null`.
    if (message !== null) this.#answered = true;
    this.#run(this.#callers.onReceiveMessage, message);
  }

  onReceiveStatus(received: StatusObject): void {
    if (this.#span !== undefined) this.#finish(this.#span, received);
    this.#run(this.#callers.onReceiveStatus, received);
  }

  #run<Arg>(event: ((arg: Arg) => void) | undefined, arg: Arg): void {
    if (event !== undefined) context.with(this.#context, event, this.#callers, arg);
  }

  #finish(span: ActiveSpan, { code, details }: StatusObject): void {
    let peer: Address | undefined;
    try {
      peer = this.#calls.peerOf(this.#call.getPeer());
    } catch (error) {
      this.#calls.instrumenter.reporter.fault("peer", error);
    }
    const unary = !this.#options.method_definition.responseStream;
    // What grpc-js makes of it for the caller, further up.
    if (code === status.OK && unary && !this.#answered) {
      finish(span, status.UNIMPLEMENTED, "No message received", peer);
    } else finish(span, code, details, peer);
  }
}

/** Ends the span of a stream that its reader let go: no status will come. */
export function finishAsLetGo(span: ActiveSpan): void {
  finish(span, status.CANCELLED, "the stream was let go before its end");
}

function finish(span: ActiveSpan, code: number, details: unknown, peer?: Address): void {
  const name = statusName(code);
  span.set(statusAttributes(name, peer));
  if (code !== status.OK) span.fail(details === "" ? name : details, name);
  span.end();
}
