import {
  assembleTraces,
  diagnose,
  evaluateUnbroken,
  type Span,
  type Trace,
} from "@traceferry/traces";
import type { ChatAnswer } from "../system/chat.js";
import { expectedTrace, type Hop, hopsOf } from "../topology/expected-trace.js";
import type { Implementations } from "../topology/roles.js";

/** One way from service to service, and whether every trace passed it. */
export interface HopSummary extends Hop {
  readonly ok: boolean;
  /** `OK`, or the code of what went wrong. */
  readonly verdict: string;
  /** For people: what went wrong and what to do about it. Empty when nothing did. */
  readonly why: string;
}

/** What the demo found out, in the form of its `--json` line. */
export interface DemoSummary {
  readonly requests: number;
  readonly answered: number;
  /** Requests whose trace is whole: one root, no orphan, every hop there. */
  readonly complete: number;
  readonly traces: number;
  readonly roots: number;
  readonly orphans: number;
  readonly services: readonly string[];
  readonly hops: readonly HopSummary[];
  readonly spanToReceivedMs: { readonly p50: number; readonly p99: number };
}

/** Judges every request by the spans that arrived. */
export function summarize(
  answers: readonly ChatAnswer[],
  spans: readonly Span[],
  {
    stream,
    implementations,
  }: { readonly stream: boolean; readonly implementations: Implementations },
): DemoSummary {
  const traces = assembleTraces(spans).filter(
    (trace) => !isBackgroundTrace(trace, implementations),
  );
  const byId = new Map(traces.map((trace) => [trace.traceId, trace]));
  const byRequest = new Map(
    spans.map(({ attributes, traceId }) => [attributes["jeeves.request.id"], traceId]),
  );
  const whole = (answer: ChatAnswer): boolean => {
    // A bare gateway has no span whose id it could tell.
    const traceId = answer.traceId || (byRequest.get(answer.requestId) ?? "");
    const trace = byId.get(traceId)?.spans ?? [];
    return evaluateUnbroken(trace, { traceId, ...expectedTrace(implementations) }).pass;
  };
  const answered = answers.filter(({ reply }) => reply !== undefined);
  return {
    requests: answers.length,
    answered: answered.length,
    complete: answered.filter(whole).length,
    traces: traces.length,
    roots: traces.reduce((sum, { roots }) => sum + roots.length, 0),
    orphans: traces.reduce((sum, { orphans }) => sum + orphans.length, 0),
    services: [...new Set(traces.flatMap((trace) => trace.services))],
    hops: summarizeHops(spans, hopsOf(stream, implementations), implementations, answered.length),
    spanToReceivedMs: delays(spans),
  };
}

/** bullmq-otel traces what a worker does for itself as well, in traces that no request is part of. */
function isBackgroundTrace({ spans, services }: Trace, implementations: Implementations): boolean {
  return (
    services.every((service) => implementations[service] === "stock") &&
    spans.every(
      ({ kind, attributes }) => kind === "INTERNAL" && !("jeeves.request.id" in attributes),
    )
  );
}

export function isUnbroken({ requests, complete, traces, orphans, hops }: DemoSummary): boolean {
  return (
    complete === requests && traces === requests && orphans === 0 && hops.every(({ ok }) => ok)
  );
}

function summarizeHops(
  spans: readonly Span[],
  hops: readonly Hop[],
  implementations: Implementations,
  answered: number,
): HopSummary[] {
  const seen = diagnose(spans, {
    root: expectedTrace(implementations).root,
    joinBy: ["jeeves.request.id"],
  }).hops;
  const key = ({ from, to, via }: Hop): string => `${from} ${to} ${via}`;
  const verdicts = hops.map((hop): HopSummary => {
    const same = seen.filter((other) => key(other) === key(hop));
    const broken = same.find(({ ok }) => !ok);
    if (broken?.verdict !== undefined) {
      const { code, sentence, hint } = broken.verdict;
      return { ...hop, ok: false, verdict: code, why: `${sentence}; ${hint}` };
    }
    const passed = same.reduce((sum, { count }) => sum + count, 0);
    if (passed >= Math.max(1, answered)) return { ...hop, ok: true, verdict: "OK", why: "" };
    return {
      ...hop,
      ok: false,
      verdict: "NOT_SEEN",
      why: `${passed} of ${answered} requests passed here; see where the trace before it ends`,
    };
  });
  const known = new Set(hops.map(key));
  for (const { from, to, via, ok, verdict } of seen) {
    if (ok || known.has(key({ from, to, via }))) continue;
    const why = verdict === undefined ? "" : `${verdict.sentence}; ${verdict.hint}`;
    verdicts.push({ from, to, via, ok, verdict: verdict?.code ?? "BROKEN", why });
  }
  return verdicts;
}

/** From the end of a span to its arrival, in milliseconds. */
function delays(spans: readonly Span[]): DemoSummary["spanToReceivedMs"] {
  const sorted = spans
    .map(({ endNs, receivedAtMs }) => receivedAtMs - Number(endNs) / 1e6)
    .sort((a, b) => a - b);
  const at = (share: number): number =>
    Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0) * 10) /
    10;
  return { p50: at(0.5), p99: at(0.99) };
}
