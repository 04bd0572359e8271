import { randomBytes } from "node:crypto";

/** Headers of a message in the order they travel; a key may come more than once. */
export type Headers = ReadonlyArray<readonly [key: string, value: string]>;

/** What another process put on a message of its own trace. */
export interface Sender {
  readonly traceId: string;
  /** The sender's own span, which the receiver gets as its parent. */
  readonly spanId: string;
  /** Two lower-case hex digits. */
  readonly flags: string;
  readonly traceparent: string;
  readonly tracestate: string;
  readonly baggage: string;
  /** The same baggage, decoded. */
  readonly entries: Readonly<Record<string, string>>;
  /** All three fields, lower-case, one of each. */
  readonly headers: Headers;
}

/** What to change about a sender. */
export interface SenderOptions {
  /** Default: `"01"`, sampled. */
  readonly flags?: string;
  /** Default: a list of two vendors. */
  readonly tracestate?: string;
  /** Names and plain ASCII values that need no encoding. Default: a tenant and a cart. */
  readonly entries?: Readonly<Record<string, string>>;
}

/** Headers as a sampled remote parent sends them, with ids of their own at every call. */
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

/** Headers whose trace must not be continued. */
export interface BrokenSender {
  /** Reads after "a sender with ". */
  readonly name: string;
  readonly headers: Headers;
  /** The rule it breaks: W3C Trace Context Level 2, traceparent header field values. */
  readonly why: string;
  /** Several traceparents, which some carriers resolve (a Kafka record is an append log) and some cannot hold. */
  readonly repeated?: true;
}

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const GOOD = `00-${TRACE}-${SPAN}-01`;
const OTHER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/** Every way to break a traceparent that receivers are known to fall for. Each has a sound tracestate and baggage beside it. */
export const brokenSenders: readonly BrokenSender[] = [
  broken("an upper-case trace id", GOOD.toUpperCase(), "hex is lower-case in every field"),
  broken("an upper-case parent id", `00-${TRACE}-00F067AA0BA902B7-01`, "hex is lower-case"),
  broken("version ff", `ff-${TRACE}-${SPAN}-01`, "version ff is forbidden"),
  broken("a version of one digit", `0-${TRACE}-${SPAN}-01`, "version is two digits"),
  broken("a version that is no hex", `0x-${TRACE}-${SPAN}-01`, "version is hex"),
  broken("a zero trace id", `00-${"0".repeat(32)}-${SPAN}-01`, "all zeros is forbidden"),
  broken("a zero parent id", `00-${TRACE}-${"0".repeat(16)}-01`, "all zeros is forbidden"),
  broken("a short trace id", `00-${TRACE.slice(1)}-${SPAN}-01`, "trace id is 32 digits"),
  broken("a long trace id", `00-${TRACE}0-${SPAN}-01`, "trace id is 32 digits"),
  broken("a trace id that is no hex", `00-${TRACE.slice(1)}g-${SPAN}-01`, "trace id is hex"),
  broken("a short parent id", `00-${TRACE}-${SPAN.slice(1)}-01`, "parent id is 16 digits"),
  broken("no flags", `00-${TRACE}-${SPAN}`, "flags are required"),
  broken("flags of one digit", `00-${TRACE}-${SPAN}-1`, "flags are two digits"),
  broken("upper-case flags", `00-${TRACE}-${SPAN}-0A`, "hex is lower-case"),
  broken("three digits of flags", `${GOOD}0`, "version 00 has 55 characters"),
  broken("a trailing dash", `${GOOD}-`, "version 00 has 55 characters"),
  broken("more behind the flags", `${GOOD}-what-the-future-holds`, "version 00 has 55 characters"),
  broken("a future version that ends in a dot", `cc-${TRACE}-${SPAN}-01.x`, "only - may follow"),
  broken("a future version too short", `cc-${TRACE}-${SPAN}`, "55 characters at least"),
  broken("underscores between the fields", GOOD.replaceAll("-", "_"), "fields are split by -"),
  broken("a line break behind it", `${GOOD}\n`, "only blanks and tabs may surround it"),
  broken("a no-break space before it", `\u00a0${GOOD}`, "only blanks and tabs may surround it"),
  broken(
    "a traceparent of 600 characters",
    `cc-${TRACE}-${SPAN}-01-${"x".repeat(600)}`,
    "our cap: 512",
  ),
  broken("words", "not a traceparent", "no field is there"),
  {
    ...broken("two traceparents in one field", `${GOOD}, ${OTHER}`, "it is not a list"),
    repeated: true,
  },
  {
    name: "two traceparents",
    headers: [["traceparent", GOOD], ["traceparent", OTHER], ...beside()],
    why: "one field, even if they are identical",
    repeated: true,
  },
];

function broken(name: string, traceparent: string, why: string): BrokenSender {
  return { name, headers: [["traceparent", traceparent], ...beside()], why };
}

function beside(): Headers {
  return sender().headers.filter(([key]) => key !== "traceparent");
}
