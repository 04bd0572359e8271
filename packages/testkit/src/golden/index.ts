/** What a peer was sent, to be passed on. */
export interface GoldenSender {
  readonly traceparent: string;
  readonly tracestate: string;
  readonly baggage: string;
}

/** What a program in another language wrote at one boundary, recorded from it as it ran. */
export interface GoldenHeaders {
  readonly peer: "go" | "python" | "java";
  /** What made it: the instrumentation of that language. */
  readonly library: string;
  readonly boundary: "grpc" | "kafka" | "http";
  /** Whether it passed on `goldenSender`, or began a trace of its own because nobody had sent anything. */
  readonly continues: boolean;
  /** Its fields of propagation, each key and value as they were written. */
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Golden headers: what the OpenTelemetry libraries of Go, Python and Java put on the wire. An adapter reads them in
 * its tests as it would read the program's messages.
 */
export { recorded as goldenHeaders, sender as goldenSender } from "./recorded.js";
