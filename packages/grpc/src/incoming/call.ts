import {
  type Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status,
} from "@grpc/grpc-js";
import { type Context, context, SpanKind } from "@opentelemetry/api";
import type { ActiveSpan, Instrumenter } from "@traceferry/core";
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

// Types that grpc-js has and does not export.
type Wire = ServerInterceptingCallInterface;
type Definition = Parameters<ServerInterceptor>[0];
type ServerListener = Parameters<Wire["start"]>[0];
type Status = Parameters<Wire["sendStatus"]>[0];
type Message = Parameters<Wire["sendMessage"]>[0];

/** What all calls of one server share. */
export interface CallsOfServer {
  readonly instrumenter: Instrumenter<IncomingCall>;
  readonly addressOf: (host: string) => Address | undefined;
  hasSpan(path: string): boolean;
}

/** A call of the server's whose handler runs in the caller's trace, and that tells when it is answered. */
export class TracedServerCall extends ServerInterceptingCall {
  readonly #calls: CallsOfServer;
  readonly #definition: Definition;
  readonly #wire: Wire;
  #caller: CallersContext | undefined;

  constructor(calls: CallsOfServer, definition: Definition, wire: Wire) {
    super(wire);
    this.#calls = calls;
    this.#definition = definition;
    this.#wire = wire;
  }

  override start(handler: ServerListener): void {
    this.#caller = new CallersContext(this.#calls, this.#definition, this.#wire, handler);
    super.start(this.#caller);
  }

  override sendMessage(message: Message, callback: () => void): void {
    super.sendMessage(message, this.#caller?.answering(callback) ?? callback);
  }

  override sendStatus(sent: Status): void {
    this.#caller?.finish(sent.code, sent.details);
    super.sendStatus(sent);
  }
}

/**
 * Stands before the handler as its listener, and runs it in the context of the call. The listeners that
 * interceptors may give to `ServerInterceptingCall` cannot do so: they have no hold on `onCancel`.
 */
class CallersContext implements ServerListener {
  readonly #calls: CallsOfServer;
  readonly #definition: Definition;
  readonly #wire: Wire;
  readonly #handler: ServerListener;
  #context: Context | undefined;
  #span: ActiveSpan | undefined;
  #unsent = 0;

  constructor(calls: CallsOfServer, definition: Definition, wire: Wire, handler: ServerListener) {
    this.#calls = calls;
    this.#definition = definition;
    this.#wire = wire;
    this.#handler = handler;
  }

  // The span begins here and not in `start`: on a stream that is closed already nothing else is ever called.
  onReceiveMetadata(metadata: Metadata): void {
    try {
      this.#context = this.#begin(metadata);
    } catch (error) {
      this.#calls.instrumenter.reporter.fault("receive", error);
    }
    this.#run(this.#handler.onReceiveMetadata, metadata);
  }

  onReceiveMessage(message: Message): void {
    this.#run(this.#handler.onReceiveMessage, message);
  }

  onReceiveHalfClose(): void {
    this.#run(this.#handler.onReceiveHalfClose);
  }

  // Comes at the end of every call, of those that were answered too: grpc-node #2771.
  onCancel(): void {
    if (this.#span !== undefined) this.finish(this.#inferStatus(), "no status was sent");
    this.#run(this.#handler.onCancel);
  }

  #run<Args extends unknown[]>(
    event: (this: ServerListener, ...args: Args) => void,
    ...args: Args
  ): void {
    if (this.#context === undefined) event.apply(this.#handler, args);
    else context.with(this.#context, event, this.#handler, ...args);
  }

  #begin(metadata: Metadata): Context {
    const { instrumenter, addressOf } = this.#calls;
    const { path } = this.#definition;
    const call = new ReceivedCall(path, metadata, this.#wire);
    const extraction = instrumenter.extract(metadata, metadataGetter, call);
    if (extraction.spanInProgress !== undefined || !this.#calls.hasSpan(path))
      return extraction.parent;
    const method = methodOf(path);
    this.#span = instrumenter.startSpan(
      {
        name: method,
        kind: SpanKind.SERVER,
        attributes: callAttributes(method, serverOf(this.#wire, addressOf), peerOf(this.#wire)),
        links: extraction.links,
        parent: extraction.parent,
      },
      extraction,
    );
    return this.#span.context;
  }

  /** Counts the answer until it is written. */
  answering(written: () => void): () => void {
    if (this.#definition.responseStream) return written;
    this.#unsent++;
    return () => {
      this.#unsent--;
      written();
    };
  }

  finish(code: number, details: unknown): void {
    const span = this.#span;
    if (span === undefined) return;
    // Handlers answer once more: after the deadline, or after the client has gone. The first status counts.
    this.#span = undefined;
    const name = statusName(code);
    span.set(statusAttributes(name));
    if (isServerError(name)) span.fail(details === "" ? name : details, name);
    span.end();
  }

  // What grpc-js sends by itself passes no interceptor: the status of a deadline, or of a message that could
  // not be written. A unary answer that was never written has failed; a message of a stream may just have been
  // under way when the client went.
  #inferStatus(): status {
    try {
      const deadline = Number(this.#wire.getDeadline());
      if (Date.now() >= deadline - DEADLINE_SLACK_MS) return status.DEADLINE_EXCEEDED;
    } catch (error) {
      this.#calls.instrumenter.reporter.fault("infer status", error);
    }
    return this.#unsent > 0 ? status.INTERNAL : status.CANCELLED;
  }
}

// At its deadline the client resets the stream, and that often comes before the server's own timer, which
// began when the call arrived: 1 to 5 ms before, mostly, and up to 30.
const DEADLINE_SLACK_MS = 50;

/** Asks for the peer only when somebody wants to know it. */
class ReceivedCall implements IncomingCall {
  readonly path: string;
  readonly metadata: Metadata;
  readonly #wire: Wire;

  constructor(path: string, metadata: Metadata, wire: Wire) {
    this.path = path;
    this.metadata = metadata;
    this.#wire = wire;
  }

  get peer(): string {
    return this.#wire.getPeer();
  }
}

// The address that the client asked for. Older releases of grpc-js do not tell it, nor whose the connection is.
function serverOf(wire: Wire, addressOf: CallsOfServer["addressOf"]): Address | undefined {
  return typeof wire.getHost === "function" ? addressOf(wire.getHost()) : undefined;
}

function peerOf(wire: Wire): Address | undefined {
  if (typeof wire.getConnectionInfo !== "function") return peerAddress(wire.getPeer());
  const { remoteAddress, remotePort } = wire.getConnectionInfo();
  return remoteAddress === undefined ? undefined : { address: remoteAddress, port: remotePort };
}
