import type {
  AttributeValue,
  MeterProvider,
  TextMapPropagator,
  TracerProvider,
} from "@opentelemetry/api";
import type { Headers } from "@traceferry/testkit";

/** What becomes of a message's sender. */
export type Relation = "child" | "link" | "none";

/** The options that every adapter of ours takes; the contract hands them to `Adapter.open`. */
export interface AdapterOptions {
  readonly propagator?: TextMapPropagator;
  readonly tracerProvider?: TracerProvider;
  readonly meterProvider?: MeterProvider;
  readonly relation?: Relation | (() => Relation);
  readonly baggage?: boolean | readonly string[];
  readonly maxBytes?: number;
}

/** A span that the adapter makes. */
export interface DeclaredSpan<Kind extends string> {
  readonly kind: Kind;
  readonly name: string;
  /** These it has at least. */
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  /**
   * The `error.type` for an error of the handler, or for one that `Harness.sendFailing` rejects with. Default: the
   * name of the error, `_OTHER` for what is none. Tells TypeErrors from RangeErrors.
   */
  readonly errorType?: (error: unknown) => string;
}

/** One adapter, described so that the contract can drive it. */
export interface Adapter {
  /** The boundary, as the adapter's reports name it: `"kafka"`. */
  readonly name: string;
  /** The strict propagator; the test brings it along, because this package does not import core. */
  readonly propagator: () => TextMapPropagator;
  /** The span around the handler. */
  readonly incoming: DeclaredSpan<"SERVER" | "CONSUMER">;
  /** The span around a send. */
  readonly outgoing: DeclaredSpan<"CLIENT" | "PRODUCER">;
  /** A child links its sender too, as the messaging conventions ask. */
  readonly messaging: boolean;
  /** The adapter's default budget for traceparent, tracestate and baggage together. */
  readonly maxBytes: number;
  /** How many messages the leak case sends, at least. Default: 10,000. */
  readonly leakMessages?: number;
  /**
   * Several headers of the user's under one name: the transport carries `"all"` of them, or holds `"one"` and the
   * case does not arise. Default: `"all"`.
   */
  readonly repeatedUserHeader?: "all" | "one";
  /**
   * What several traceparents on one message mean: `"restart"` the trace, the `"last"` counts, or the transport
   * holds `"one"` and the case does not arise. Default: `"restart"`.
   */
  readonly repeatedTraceparent?: "restart" | "last" | "one";
  /**
   * What becomes of an error of the handler at the end of `Harness.receive`: it rejects with the `"same"` object,
   * with one of the transport's own (`"wrapped"`), or not at all (`"swallowed"`). Default: `"same"`.
   */
  readonly handlerError?: "same" | "wrapped" | "swallowed";
  /**
   * Whether the bare transport can carry these headers at all, on a message that arrives and on one of the
   * caller's. Cases with other headers are left out. Default: it carries everything.
   */
  readonly canCarry?: (headers: Headers) => boolean;
  /** Called before each case: forget what was reported, so that a rate limit does not hide the next report. */
  readonly reset?: () => void;
  /** A fresh transport with the adapter on both of its ends. */
  open(options?: AdapterOptions): Promise<Harness>;
  /**
   * Delivers like `Harness.receive`, with somebody else's patching in between: whatever calls into the adapter
   * is run by `patch`, inside a span that the patching made for this very message. Leave it out where a
   * transport knows no such thing.
   */
  readonly receivePatched?: (
    harness: Harness,
    headers: Headers,
    handler: () => unknown,
    patch: <Result>(next: () => Result) => Result,
  ) => Promise<void>;
}

/** One message as it left, as a peer without adapter sees it. */
export interface SentMessage {
  readonly headers: Headers;
  /** Everything that the message says but its headers, comparable by `deepEqual`. */
  readonly body: unknown;
}

/** An adapter at work. Every call takes place in the context that is active around it. */
export interface Harness extends AsyncDisposable {
  /**
   * One message with these headers reaches the adapter; `handler` is the user's. Settles as the delivery did,
   * after the adapter is done with the message (its span has ended). No adapter is on the sending side.
   */
  receive(headers: Headers, handler: () => unknown): Promise<void>;
  /** The caller's own message with these headers of theirs; `frozen`: deeply, as far as the transport can bear it. */
  message(headers: Headers, frozen?: boolean): unknown;
  /** What the caller's message holds now, comparable by `deepEqual`. */
  snapshot(message: unknown): unknown;
  /**
   * Sends it through the adapter, gives what left. Settles after the adapter is done with the send (its span has
   * ended).
   */
  send(message: unknown): Promise<SentMessage>;
  /** The same send through the bare client. */
  sendUninstrumented(message: unknown): Promise<SentMessage>;
  /**
   * How often the transport's own client was called to send so far, by either way. Bare sends call it at once.
   */
  transportSends(): number;
  /** Sends it through the adapter to where it cannot go: rejects as the bare client does. */
  sendFailing(message: unknown): Promise<void>;
}
