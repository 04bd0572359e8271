import type { Span } from "../span.js";
import { listenGrpc } from "./grpc.js";
import { listenHttp } from "./http.js";
import { SpanStore, type SpansListener } from "./store.js";
import { type DescribeSpans, describeByService, type WaitOptions, waitForQuiet } from "./wait.js";

export type { SpansListener } from "./store.js";
export { type DescribeSpans, type WaitOptions, WaitTimeoutError } from "./wait.js";

/** Options of `startReceiver`. */
export interface ReceiverOptions {
  /** The address to listen on. Default: "127.0.0.1"; containers need one that they can reach. */
  readonly host?: string;
  /** The port for OTLP over HTTP. Default: a free one. */
  readonly httpPort?: number;
  /** The port for OTLP over gRPC. Default: a free one. */
  readonly grpcPort?: number;
  /** Listen for gRPC too. Default: true when the optional peer `@grpc/grpc-js` is installed. */
  readonly grpc?: boolean;
  /** The largest HTTP body in bytes, both as sent and inflated. Default: 16 MiB; larger ones get status 413. */
  readonly maxBodyBytes?: number;
  /** How many spans are kept. Default: 200,000; the oldest are dropped first and counted. */
  readonly maxSpans?: number;
  /** Describes what arrived in the message of a `WaitTimeoutError`. Default: counts the spans of each service. */
  readonly describe?: DescribeSpans;
}

/** A running OTLP receiver. `await using` closes it. */
export interface OtlpReceiver extends AsyncDisposable {
  /** The `OTEL_EXPORTER_OTLP_ENDPOINT` for http/protobuf and http/json, for example "http://127.0.0.1:4318". */
  readonly httpUrl: string;
  /** The endpoint for grpc; undefined when the receiver does not listen for gRPC. */
  readonly grpcUrl: string | undefined;
  /** The arrived spans, in order of arrival. A snapshot: read it again to see more. */
  readonly spans: readonly Span[];
  /** How many spans were dropped because of `maxSpans`. */
  readonly dropped: number;
  /** Forgets the arrived spans. */
  clear(): void;
  /** Stops listening and ends every wait. The arrived spans can still be read. */
  close(): Promise<void>;
  /**
   * Resolves with the arrived spans, once the conditions are met and nothing new arrives for a while.
   *
   * @throws WaitTimeoutError at the timeout, naming what is missing.
   */
  waitForQuiet(options?: WaitOptions): Promise<Span[]>;
  /** Waits for the spans of one trace. */
  waitForTrace(traceId: string, options?: Omit<WaitOptions, "traceId">): Promise<Span[]>;
  /** Calls `listener` with every batch that arrives, until the returned function is called. */
  onSpans(listener: SpansListener): () => void;
}

/**
 * Starts a receiver for OTLP traces over HTTP (protobuf and JSON) and gRPC, plain and gzip. Metrics and logs,
 * which the same services export, are accepted and ignored.
 *
 * @throws Error when a port is taken, or when `grpc` is true and `@grpc/grpc-js` is not installed.
 */
export async function startReceiver(options: ReceiverOptions = {}): Promise<OtlpReceiver> {
  const {
    host = "127.0.0.1",
    httpPort = 0,
    grpcPort = 0,
    maxBodyBytes = 16 * 1024 * 1024,
    maxSpans = 200_000,
    describe = describeByService,
  } = options;
  const store = new SpanStore(maxSpans);
  const onSpans = (spans: readonly Span[]): void => store.add(spans);
  const http = await listenHttp({ host, port: httpPort, maxBodyBytes }, onSpans);
  try {
    const grpc =
      options.grpc === false
        ? undefined
        : await listenGrpc({ host, port: grpcPort, required: options.grpc === true }, onSpans);
    const closers = grpc === undefined ? [http.close] : [http.close, grpc.close];
    const urls = { http: urlOf(host, http.port), grpc: grpc && urlOf(host, grpc.port) };
    return new Receiver(store, urls, describe, closers);
  } catch (error) {
    await http.close();
    throw error;
  }
}

class Receiver implements OtlpReceiver {
  readonly httpUrl: string;
  readonly grpcUrl: string | undefined;
  readonly #store: SpanStore;
  readonly #describe: DescribeSpans;
  readonly #closers: readonly (() => Promise<void>)[];
  readonly #closed = new AbortController();
  #closing: Promise<unknown> | undefined;

  constructor(
    store: SpanStore,
    urls: { readonly http: string; readonly grpc: string | undefined },
    describe: DescribeSpans,
    closers: readonly (() => Promise<void>)[],
  ) {
    this.#store = store;
    this.httpUrl = urls.http;
    this.grpcUrl = urls.grpc;
    this.#describe = describe;
    this.#closers = closers;
  }

  get spans(): readonly Span[] {
    return this.#store.spans;
  }

  get dropped(): number {
    return this.#store.dropped;
  }

  clear(): void {
    this.#store.clear();
  }

  async close(): Promise<void> {
    this.#closing ??= Promise.all(this.#closers.map((close) => close()));
    await this.#closing;
    this.#closed.abort();
  }

  waitForQuiet(options: WaitOptions = {}): Promise<Span[]> {
    return waitForQuiet(this.#store, options, this.#describe, this.#closed.signal);
  }

  waitForTrace(traceId: string, options: Omit<WaitOptions, "traceId"> = {}): Promise<Span[]> {
    return this.waitForQuiet({ ...options, traceId });
  }

  onSpans(listener: SpansListener): () => void {
    return this.#store.onSpans(listener);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

// A server that listens on every address is reached at the loopback address.
const LOOPBACK_BY_WILDCARD: ReadonlyMap<string, string> = new Map([
  ["0.0.0.0", "127.0.0.1"],
  ["::", "::1"],
]);

function urlOf(host: string, port: number): string {
  const reachable = LOOPBACK_BY_WILDCARD.get(host) ?? host;
  return `http://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}`;
}
