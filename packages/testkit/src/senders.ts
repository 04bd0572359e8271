import { randomBytes } from "node:crypto";

/** The headers of a message in the order of the wire; a key may be repeated. */
export type Headers = ReadonlyArray<readonly [key: string, value: string]>;

/** The trace context that another process put on a message. */
export interface Sender {
  readonly traceId: string;
  /** The sender's span, which is the remote parent of the receiver's. */
  readonly spanId: string;
  /** The trace flags: two lower-case hex digits. */
  readonly flags: string;
  readonly traceparent: string;
  readonly tracestate: string;
  readonly baggage: string;
  /** The entries of the baggage, decoded. */
  readonly entries: Readonly<Record<string, string>>;
  /** The three fields, with lower-case keys, each once. */
  readonly headers: Headers;
}

/** Options of `sender`. */
export interface SenderOptions {
  /** The trace flags. Default: `"01"`, sampled. */
  readonly flags?: string;
  /** The tracestate. Default: a list of two vendors. */
  readonly tracestate?: string;
  /** The baggage: names and plain ASCII values that need no encoding. Default: a tenant and a cart. */
  readonly entries?: Readonly<Record<string, string>>;
}

/** Makes the headers of a sampled remote parent, with new ids at every call. */
export function sender(options: SenderOptions = {}): Sender {
  const traceId = randomBytes(16).toString("hex");
  const spanId = randomBytes(8).toString("hex");
  const flags = options.flags ?? "01";
  const traceparent = `00-${traceId}-${spanId}-${flags}`;
  const tracestate = options.tracestate ?? "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE";
  const entries = options.entries ?? { "tenant.id": "acme", "cart.id": "c-1042" };
  const baggage = Object.entries(entries)
    .map(([name, value]) => `${name}=${value}`)
    .join(",");
  const headers: Headers = [
    ["traceparent", traceparent],
    ["tracestate", tracestate],
    ["baggage", baggage],
  ];
  return { traceId, spanId, flags, traceparent, tracestate, baggage, entries, headers };
}

/** Headers with an invalid traceparent, whose trace must not be continued. */
export interface BrokenSender {
  /** Completes the sentence "a sender with ...". */
  readonly name: string;
  readonly headers: Headers;
  /** The rule that is broken, of W3C Trace Context Level 2, "traceparent header field values". */
  readonly why: string;
  /** Set when there are several traceparents: some carriers take the last one (a Kafka record), others cannot hold them. */
  readonly repeated?: true;
}

const TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN_ID = "00f067aa0ba902b7";
const VALID = `00-${TRACE_ID}-${SPAN_ID}-01`;
const OTHER_VALID = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/** Senders with each kind of invalid traceparent that receivers are known to accept; tracestate and baggage are valid. */
export const BROKEN_SENDERS: readonly BrokenSender[] = [
  broken("an upper-case trace id", VALID.toUpperCase(), "hex is lower-case in every field"),
  broken("an upper-case parent id", `00-${TRACE_ID}-00F067AA0BA902B7-01`, "hex is lower-case"),
  broken("version ff", `ff-${TRACE_ID}-${SPAN_ID}-01`, "version ff is forbidden"),
  broken("a version of one digit", `0-${TRACE_ID}-${SPAN_ID}-01`, "version is two digits"),
  broken("a version that is no hex", `0x-${TRACE_ID}-${SPAN_ID}-01`, "version is hex"),
  broken("a zero trace id", `00-${"0".repeat(32)}-${SPAN_ID}-01`, "all zeros is forbidden"),
  broken("a zero parent id", `00-${TRACE_ID}-${"0".repeat(16)}-01`, "all zeros is forbidden"),
  broken("a short trace id", `00-${TRACE_ID.slice(1)}-${SPAN_ID}-01`, "trace id is 32 digits"),
  broken("a long trace id", `00-${TRACE_ID}0-${SPAN_ID}-01`, "trace id is 32 digits"),
  broken("a trace id that is no hex", `00-${TRACE_ID.slice(1)}g-${SPAN_ID}-01`, "trace id is hex"),
  broken("a short parent id", `00-${TRACE_ID}-${SPAN_ID.slice(1)}-01`, "parent id is 16 digits"),
  broken("no flags", `00-${TRACE_ID}-${SPAN_ID}`, "flags are required"),
  broken("flags of one digit", `00-${TRACE_ID}-${SPAN_ID}-1`, "flags are two digits"),
  broken("upper-case flags", `00-${TRACE_ID}-${SPAN_ID}-0A`, "hex is lower-case"),
  broken("three digits of flags", `${VALID}0`, "version 00 has 55 characters"),
  broken("a trailing dash", `${VALID}-`, "version 00 has 55 characters"),
  broken("more behind the flags", `${VALID}-what-the-future-holds`, "version 00 has 55 characters"),
  broken(
    "a future version that ends in a dot",
    `cc-${TRACE_ID}-${SPAN_ID}-01.x`,
    "only - may follow",
  ),
  broken("a future version too short", `cc-${TRACE_ID}-${SPAN_ID}`, "55 characters at least"),
  broken("underscores between the fields", VALID.replaceAll("-", "_"), "fields are split by -"),
  broken("a line break behind it", `${VALID}\n`, "only blanks and tabs may surround it"),
  broken("a no-break space before it", `\u00a0${VALID}`, "only blanks and tabs may surround it"),
  broken(
    "a traceparent of 600 characters",
    `cc-${TRACE_ID}-${SPAN_ID}-01-${"x".repeat(600)}`,
    "our cap: 512",
  ),
  broken("words", "not a traceparent", "no field is there"),
  {
    ...broken("two traceparents in one field", `${VALID}, ${OTHER_VALID}`, "it is not a list"),
    repeated: true,
  },
  {
    name: "two traceparents",
    headers: [["traceparent", VALID], ["traceparent", OTHER_VALID], ...otherHeaders()],
    why: "one field, even if they are identical",
    repeated: true,
  },
];

function broken(name: string, traceparent: string, why: string): BrokenSender {
  return { name, headers: [["traceparent", traceparent], ...otherHeaders()], why };
}

function otherHeaders(): Headers {
  return sender().headers.filter(([key]) => key !== "traceparent");
}
