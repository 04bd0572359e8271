import type {
  AttributeValue,
  MeterProvider,
  TextMapPropagator,
  TracerProvider,
} from "@opentelemetry/api";
import type { Headers } from "@traceferry/testkit";

/**
 * The relation of an incoming message to its sender: `"child"` continues the sender's trace, `"link"` begins a
 * new trace that links back to it, `"none"` begins a new trace and keeps nothing.
 */
export type Relation = "child" | "link" | "none";

/** The options that every adapter takes. The contract passes them to `Adapter.open`. */
export interface AdapterOptions {
  /** Extracts and injects. Default: the global propagator. */
  readonly propagator?: TextMapPropagator;
  /** Makes the spans. Default: the global provider. */
  readonly tracerProvider?: TracerProvider;
  /** Makes the adapter's own counters. Default: the global provider. */
  readonly meterProvider?: MeterProvider;
  /** The relation of incoming messages to their sender. Default: `"child"`. */
  readonly relation?: Relation | (() => Relation);
  /** The baggage that is sent: all of it, none, or the entries of these names. Default: `true`. */
  readonly baggage?: boolean | readonly string[];
  /** Budget for the propagation fields that are sent. Default: `Adapter.maxBytes`. */
  readonly maxBytes?: number;
}

/** A kind of span that the adapter makes. */
export interface DeclaredSpan<Kind extends string> {
  readonly kind: Kind;
  readonly name: string;
  /** Attributes that the span has at least. */
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  /**
   * The `error.type` for an error of the handler, or for one that `Harness.sendFailing` rejects with. Must
   * distinguish TypeErrors from RangeErrors where the transport does. Default: the name of an Error, `_OTHER` for
   * everything else.
   */
  readonly errorType?: (error: unknown) => string;
}

/** Describes one adapter to the contract: what it declares, what its transport can do, and how to open it. */
export interface Adapter {
  /** The adapter's name, as in its reports and on its counters: `"kafka"`. */
  readonly name: string;
  /** Makes the strict W3C propagator, `w3cPropagator` of core, which this package does not import. */
  readonly propagator: () => TextMapPropagator;
  /** The span around the handler. */
  readonly incoming: DeclaredSpan<"SERVER" | "CONSUMER">;
  /** The span around a send. */
  readonly outgoing: DeclaredSpan<"CLIENT" | "PRODUCER">;
  /** `true` when a child also links its sender, as the messaging conventions ask. */
  readonly messaging: boolean;
  /** The adapter's default budget for traceparent, tracestate and baggage together, in bytes. */
  readonly maxBytes: number;
  /** The least number of messages that the leak case passes. Default: 10,000. */
  readonly leakMessages?: number;
  /**
   * How many user headers of one name the transport carries: `"all"`, or `"one"`, which leaves the case out.
   * Default: `"all"`.
   */
  readonly repeatedUserHeader?: "all" | "one";
  /**
   * The effect of several traceparents on one message: they `"restart"` the trace, or the `"last"` one counts. `"one"`
   * says that the transport holds only one, which leaves the case out. Default: `"restart"`.
   */
  readonly repeatedTraceparent?: "restart" | "last" | "one";
  /**
   * The effect of an error of the handler on `Harness.receive`: it rejects with the `"same"` object, rejects with an
   * error of the transport's (`"wrapped"`), or resolves (`"swallowed"`). Default: `"same"`.
   */
  readonly handlerError?: "same" | "wrapped" | "swallowed";
  /**
   * True when the transport, without the adapter, can carry these headers, on an incoming message and on one of the
   * caller's. Cases with other headers are left out. Default: it carries everything.
   */
  readonly canCarry?: (headers: Headers) => boolean;
  /** Called before each case: forgets the reports made so far, so that a rate limit does not hide the next one. */
  readonly reset?: () => void;
  /** Opens a new transport with the adapter on both of its ends. */
  open(options?: AdapterOptions): Promise<Harness>;
  /**
   * Delivers like `Harness.receive`, with another instrumentation in between that patches the transport: the
   * transport's calls into the adapter go through `patch`, which runs them inside a span that was made for this
   * message. Leave it out where no other instrumentation exists, and the case is left out.
   */
  readonly receivePatched?: (
    harness: Harness,
    headers: Headers,
    handler: () => unknown,
    patch: <Result>(next: () => Result) => Result,
  ) => Promise<void>;
}

/** A message that was sent, as a peer without the adapter reads it. */
export interface SentMessage {
  readonly headers: Headers;
  /** Everything that the message holds but its headers, comparable by `deepEqual`. */
  readonly body: unknown;
}

/**
 * An open adapter, with a transport that delivers to the adapter and sends through it. Each call takes place in the
 * context that is active around it. Disposing of the harness closes the transport.
 */
export interface Harness extends AsyncDisposable {
  /**
   * Delivers a message with these headers to the adapter, from a sender without one; `handler` is the user's.
   * Settles as the delivery does, after the adapter has ended its span.
   */
  receive(headers: Headers, handler: () => unknown): Promise<void>;
  /**
   * Makes a message of the caller's with these headers. `frozen` freezes it deeply, as far as the transport accepts.
   * Default: `false`.
   */
  message(headers: Headers, frozen?: boolean): unknown;
  /** Copies the content of a caller's message, comparable by `deepEqual`. */
  snapshot(message: unknown): unknown;
  /** Sends a message through the adapter. Settles after the adapter has ended its span. */
  send(message: unknown): Promise<SentMessage>;
  /** Sends a message through the client without the adapter, which must call the transport before it returns. */
  sendUninstrumented(message: unknown): Promise<SentMessage>;
  /** Counts the calls of the transport to send so far, with the adapter and without. */
  transportSends(): number;
  /** Sends a message through the adapter to a destination that does not exist: rejects as the client does. */
  sendFailing(message: unknown): Promise<void>;
}
