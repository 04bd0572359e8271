/** Why a hop broke; the README explains each code. */
export type VerdictCode =
  | "NOT_INJECTED"
  | "DROPPED_IN_TRANSIT"
  | "NOT_EXTRACTED"
  | "REJECTED_FLAGS"
  | "REJECTED_FORMAT"
  | "WRONG_KEY_CASE"
  | "BINARY_VALUE"
  | "NOT_SAMPLED"
  | "PARENT_NOT_EXPORTED"
  | "LINK_NOT_PARENT"
  | "WRONG_PARENT"
  | "IN_PROCESS_LOSS"
  | "RESTARTED_BY_POLICY";

/** Why a hop broke, in a sentence, and how to fix it. */
export interface Verdict {
  readonly code: VerdictCode;
  readonly sentence: string;
  /** The change that mends the hop, with the service to change. */
  readonly hint: string;
  /** Other causes that the spans allow; empty when the evidence leaves one. */
  readonly orElse: readonly VerdictCode[];
}

/** The values for the text of a verdict. */
export interface Facts {
  readonly from: string;
  readonly to: string;
  readonly via: string;
  /** The grammar rule that was broken, or the reason of the policy. */
  readonly reason?: string | undefined;
  /** `telemetry.sdk.language` of the service to fix. */
  readonly language?: string | undefined;
  readonly orElse?: readonly VerdictCode[];
}

/** The verdict of this code, with its text. */
export function verdict(code: VerdictCode, facts: Facts): Verdict {
  const { orElse = [] } = facts;
  const text = verdictTexts[code];
  const doubt =
    orElse.length === 0 ? "" : ` (likely; the spans would also allow ${orElse.join(", ")})`;
  return { code, sentence: `${text.sentence(facts)}${doubt}`, hint: text.hint(facts), orElse };
}

interface VerdictText {
  readonly sentence: (facts: Facts) => string;
  readonly hint: (facts: Facts) => string;
}

const verdictTexts: Readonly<Record<VerdictCode, VerdictText>> = {
  NOT_INJECTED: {
    sentence: ({ from, to }) => `${from} sent no traceparent, so ${to} began a new trace`,
    hint: ({ from, language }) => `${propagatorHint(from, language)}, and instrument its client`,
  },
  DROPPED_IN_TRANSIT: {
    sentence: ({ from, to }) => `${from} sent a traceparent, but none reached ${to}`,
    hint: ({ via }) =>
      `something between them drops headers (${via}): a proxy, a re-publish, a dead-letter copy, a job template`,
  },
  NOT_EXTRACTED: {
    sentence: ({ to }) => `${to} got a traceparent and began a new trace all the same`,
    hint: ({ to, language }) =>
      `${propagatorHint(to, language)}, and instrument its server or consumer`,
  },
  REJECTED_FLAGS: {
    sentence: ({ to }) => `${to} rejected the trace flags, as old Go and Rust SDKs do above 02`,
    hint: ({ to }) =>
      `update the OpenTelemetry SDK of ${to} (Go: 1.42 or newer), or send it no random flag: w3cPropagator({ randomFlag: "clear" })`,
  },
  REJECTED_FORMAT: {
    sentence: ({ to, reason }) => `${to} rejected the traceparent: ${ruleText(reason)}`,
    hint: ({ from }) =>
      `look at what ${from}, or whoever copies its headers, writes as traceparent`,
  },
  WRONG_KEY_CASE: {
    sentence: ({ to }) => `the header arrived as "Traceparent", and ${to} looks for the exact case`,
    hint: ({ from }) => `have ${from} and everything in between write the name in lower case`,
  },
  BINARY_VALUE: {
    sentence: ({ to }) =>
      `the traceparent arrived as bytes, and the propagator of ${to} wants text`,
    hint: ({ to }) => `have ${to} decode header values before it extracts`,
  },
  NOT_SAMPLED: {
    sentence: ({ to }) =>
      `the traceparent arrived with the sampled bit off, so ${to} recorded nothing`,
    hint: ({ from }) =>
      `look for who clears the flag between ${from} and the callee, or at the samplers`,
  },
  PARENT_NOT_EXPORTED: {
    sentence: ({ to }) => `${to} continued a sender whose span never arrived here`,
    hint: ({ from }) =>
      `see that ${from === "?" ? "the caller" : from} samples, flushes before it exits, and exports to the same place; or that no proxy rewrites the parent id`,
  },
  LINK_NOT_PARENT: {
    sentence: ({ from, to }) => `${to} began a new trace that links back to ${from}`,
    hint: () => `if it should be one trace, choose relation "child"; if not, allow links`,
  },
  WRONG_PARENT: {
    sentence: ({ from, to }) =>
      `${to} continues a span around the call of ${from}, not the call's own span`,
    hint: ({ from }) =>
      `have ${from} inject inside its client span, not in the context it began with`,
  },
  IN_PROCESS_LOSS: {
    sentence: ({ to }) => `${to} lost the trace within its own process`,
    hint: ({ language }) => inProcessHint(language),
  },
  RESTARTED_BY_POLICY: {
    sentence: ({ to, reason }) =>
      `${to} restarted the trace on purpose${reason === undefined ? "" : ` (${reason})`}`,
    hint: ({ to }) => `if the sender is to be trusted, set relation "child" in ${to}`,
  },
};

function propagatorHint(service: string, language: string | undefined): string {
  switch (language) {
    case "go":
      return `register a propagator in ${service}: otel.SetTextMapPropagator(propagation.TraceContext{}), Go's default does nothing`;
    case "python":
      return `see that OTEL_PROPAGATORS of ${service} names tracecontext`;
    case "java":
      return `see that otel.propagators of ${service} names tracecontext`;
    case "nodejs":
      return `register a propagator in ${service}: propagation.setGlobalPropagator(w3cPropagator())`;
    default:
      return `register a W3C propagator in ${service}`;
  }
}

function inProcessHint(language: string | undefined): string {
  switch (language) {
    case "go":
      return "pass the request's ctx on; context.Background() forgets the trace";
    case "python":
      return "copy the context into threads and executors: contextvars.copy_context().run(...)";
    case "java":
      return "wrap executors: Context.taskWrapping(executor)";
    case "nodejs":
      return "register a context manager, and bind callbacks that run later: context.bind(context.active(), fn)";
    default:
      return "see that the context follows into threads, callbacks and queues, and that every span ends and is flushed";
  }
}

const RULE_TEXTS: ReadonlyMap<string, string> = new Map([
  ["repeated", "it came more than once"],
  ["version", "its version is ff, which is forbidden"],
  ["format", "it is not 2-32-16-2 lower-case hex digits"],
  ["zero_id", "an id in it is all zero"],
  ["too_long", "it is longer than 512 characters"],
  ["failed", "the propagator threw"],
]);

function ruleText(reason: string | undefined): string {
  if (reason === undefined) return "it breaks the grammar";
  const rule = RULE_TEXTS.get(reason);
  return rule === undefined ? reason : `${rule} (${reason})`;
}
