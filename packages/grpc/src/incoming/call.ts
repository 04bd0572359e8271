import {
  type Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status,
} from "@grpc/grpc-js";
import { type Context, context, SpanKind } from "@opentelemetry/api";
import type { ActiveSpan } from "@traceferry/core";
import { type Address, peerAddress } from "../attributes/address.js";
import {
  callAttributes,
  isServerError,
  methodOf,
  statusAttributes,
  statusName,
} from "../attributes/index.js";
import { metadataGetter } from "../carrier/metadata.js";
import type { IncomingCall } from "../options.js";
import type { ServerTracing } from "./server-tracing.js";

type ServerCall = ServerInterceptingCallInterface;
// Types that grpc-js has and does not export.
type MethodDefinition = Parameters<ServerInterceptor>[0];
type ServerListener = Parameters<ServerCall["start"]>[0];
type Status = Parameters<ServerCall["sendStatus"]>[0];
type Message = Parameters<ServerCall["sendMessage"]>[0];

/** A call of a server: its handler runs in the caller's trace, and its span ends with the status that is sent. */
export class TracedServerCall extends ServerInterceptingCall {
  readonly #tracing: ServerTracing;
  readonly #method: MethodDefinition;
  readonly #nextCall: ServerCall;
  #listener: TracedServerListener | undefined;

  constructor(tracing: ServerTracing, method: MethodDefinition, nextCall: ServerCall) {
    super(nextCall);
    this.#tracing = tracing;
    this.#method = method;
    this.#nextCall = nextCall;
  }

  override start(handler: ServerListener): void {
    this.#listener = new TracedServerListener(this.#tracing, this.#method, this.#nextCall, handler);
    super.start(this.#listener);
  }

  override sendMessage(message: Message, callback: () => void): void {
    super.sendMessage(message, this.#listener?.countUnsent(callback) ?? callback);
  }

  override sendStatus(sent: Status): void {
    this.#listener?.endSpan(sent.code, sent.details);
    super.sendStatus(sent);
  }
}

/**
 * Extracts the caller's context, starts the span, and runs the handler's listener in it. An interceptor's own
 * listener, as `ServerInterceptingCall` takes one, could not do that: its `onCancel` has no `next` to run.
 */
class TracedServerListener implements ServerListener {
  readonly #tracing: ServerTracing;
  readonly #method: MethodDefinition;
  readonly #call: ServerCall;
  readonly #handler: ServerListener;
  #context: Context | undefined;
  #span: ActiveSpan | undefined;
  #unsentResponses = 0;

  constructor(
    tracing: ServerTracing,
    method: MethodDefinition,
    call: ServerCall,
    handler: ServerListener,
  ) {
    this.#tracing = tracing;
    this.#method = method;
    this.#call = call;
    this.#handler = handler;
  }

  // The span starts here and not in `start`: on a stream that is closed already, grpc-js calls nothing after
  // `start`, and the span would never end.
  onReceiveMetadata(metadata: Metadata): void {
    try {
      this.#context = this.#startSpan(metadata);
    } catch (error) {
      this.#tracing.instrumenter.reporter.fault("start span", error);
    }
    this.#runInContext(this.#handler.onReceiveMetadata, metadata);
  }

  onReceiveMessage(message: Message): void {
    this.#runInContext(this.#handler.onReceiveMessage, message);
  }

  onReceiveHalfClose(): void {
    this.#runInContext(this.#handler.onReceiveHalfClose);
  }

  // grpc-js calls this at the end of every call, also of those that were answered: grpc-node #2771.
  onCancel(): void {
    if (this.#span !== undefined) this.endSpan(this.#inferStatus(), "no status was sent");
    this.#runInContext(this.#handler.onCancel);
  }

  #runInContext<Args extends unknown[]>(
    event: (this: ServerListener, ...args: Args) => void,
    ...args: Args
  ): void {
    if (this.#context === undefined) event.apply(this.#handler, args);
    else context.with(this.#context, event, this.#handler, ...args);
  }

  /** Returns the context for the handler: with the span of this call, or the caller's where it gets none. */
  #startSpan(metadata: Metadata): Context {
    const { instrumenter, parseHost } = this.#tracing;
    const { path } = this.#method;
    const incoming = new LazyIncomingCall(path, metadata, this.#call);
    const extraction = instrumenter.extract(metadata, metadataGetter, incoming);
    if (extraction.spanInProgress !== undefined || !this.#tracing.isTraced(path)) {
      return extraction.parent;
    }
    const method = methodOf(path);
    const server = requestedAddress(this.#call, parseHost);
    this.#span = instrumenter.startSpan(
      {
        name: method,
        kind: SpanKind.SERVER,
        attributes: callAttributes(method, server, clientAddress(this.#call)),
        links: extraction.links,
        parent: extraction.parent,
      },
      extraction,
    );
    return this.#span.context;
  }

  /** Counts the only response of a call as unsent until the returned callback tells that it is written. */
  countUnsent(written: () => void): () => void {
    // A call without a span of ours needs no count.
    if (this.#span === undefined || this.#method.responseStream) return written;
    this.#unsentResponses++;
    return () => {
      this.#unsentResponses--;
      written();
    };
  }

  /** Ends the span with this status. */
  endSpan(code: number, details: unknown): void {
    const span = this.#span;
    if (span === undefined) return;
    // The first status counts: handlers may answer again, after the deadline or after the client has gone.
    this.#span = undefined;
    const name = statusName(code);
    span.set(statusAttributes(name));
    if (isServerError(name)) span.fail(details === "" ? name : details, name);
    span.end();
  }

  // No interceptor sees the statuses that grpc-js sends by itself: of a deadline, and of a response that could
  // not be written. A unary response that is still unsent was such a failure. A message of a stream is no sign: it
  // may just have been under way when the client left.
  #inferStatus(): status {
    try {
      const deadline = Number(this.#call.getDeadline());
      if (Date.now() >= deadline - DEADLINE_SLACK_MS) return status.DEADLINE_EXCEEDED;
    } catch (error) {
      this.#tracing.instrumenter.reporter.fault("infer status", error);
    }
    return this.#unsentResponses > 0 ? status.INTERNAL : status.CANCELLED;
  }
}

// At its deadline the client resets the stream, mostly before the server's own timer fires, which started later,
// when the call arrived: 1 to 5 ms before, as a rule, and up to 30.
const DEADLINE_SLACK_MS = 50;

/** Asks grpc-js for the peer only when the option `relation` does. */
class LazyIncomingCall implements IncomingCall {
  readonly path: string;
  readonly metadata: Metadata;
  readonly #call: ServerCall;

  constructor(path: string, metadata: Metadata, call: ServerCall) {
    this.path = path;
    this.metadata = metadata;
    this.#call = call;
  }

  get peer(): string {
    return this.#call.getPeer();
  }
}

/** Returns the server's address as the client asked for it; undefined in releases of grpc-js without `getHost`. */
function requestedAddress(
  call: ServerCall,
  parseHost: ServerTracing["parseHost"],
): Address | undefined {
  return typeof call.getHost === "function" ? parseHost(call.getHost()) : undefined;
}

/** Returns the client's address; in releases of grpc-js without `getConnectionInfo`, as far as `getPeer` tells. */
function clientAddress(call: ServerCall): Address | undefined {
  if (typeof call.getConnectionInfo !== "function") return peerAddress(call.getPeer());
  const { remoteAddress, remotePort } = call.getConnectionInfo();
  return remoteAddress === undefined ? undefined : { address: remoteAddress, port: remotePort };
}
