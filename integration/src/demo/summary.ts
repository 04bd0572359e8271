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

/** One hop from service to service, over all traces. */
export interface HopSummary extends Hop {
  /** True when it is unbroken in every trace. */
  readonly ok: boolean;
  /** `OK`, or the code of the problem. */
  readonly verdict: string;
  /** The problem and the remedy, for people. Empty when there is none. */
  readonly why: string;
}

/** The result of the demo, as its `--json` line has it. */
export interface DemoSummary {
  readonly requests: number;
  /** Requests that got a reply. */
  readonly answered: number;
  /** Answered requests with an unbroken trace: one root, no orphan, every hop present. */
  readonly complete: number;
  readonly traces: number;
  readonly roots: number;
  readonly orphans: number;
  readonly services: readonly string[];
  readonly hops: readonly HopSummary[];
  /** From the end of a span to its arrival. */
  readonly spanToReceivedMs: { readonly p50: number; readonly p99: number };
}

/** Evaluates every request by the spans that were received. */
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
  const isComplete = (answer: ChatAnswer): boolean => {
    // A bare gateway makes no span, so its answer has no trace id.
    const traceId = answer.traceId || (byRequest.get(answer.requestId) ?? "");
    const trace = byId.get(traceId)?.spans ?? [];
    return evaluateUnbroken(trace, { traceId, ...expectedTrace(implementations) }).pass;
  };
  const answered = answers.filter(({ reply }) => reply !== undefined);
  return {
    requests: answers.length,
    answered: answered.length,
    complete: answered.filter(isComplete).length,
    traces: traces.length,
    roots: traces.reduce((sum, { roots }) => sum + roots.length, 0),
    orphans: traces.reduce((sum, { orphans }) => sum + orphans.length, 0),
    services: [...new Set(traces.flatMap((trace) => trace.services))],
    hops: summarizeHops(spans, hopsOf(stream, implementations), implementations, answered.length),
    spanToReceivedMs: delays(spans),
  };
}

/** True for a trace that belongs to no request: bullmq-otel also traces the timers of a worker. */
function isBackgroundTrace({ spans, services }: Trace, implementations: Implementations): boolean {
  return (
    services.every((service) => implementations[service] === "stock") &&
    spans.every(
      ({ kind, attributes }) => kind === "INTERNAL" && !("jeeves.request.id" in attributes),
    )
  );
}

/** True when every request has one unbroken trace, and there are no others. */
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
  const listed = new Set(hops.map(key));
  for (const { from, to, via, ok, verdict } of seen) {
    if (ok || listed.has(key({ from, to, via }))) continue;
    const why = verdict === undefined ? "" : `${verdict.sentence}; ${verdict.hint}`;
    verdicts.push({ from, to, via, ok, verdict: verdict?.code ?? "BROKEN", why });
  }
  return verdicts;
}

/** The delay from the end of a span to its arrival, in milliseconds. */
function delays(spans: readonly Span[]): DemoSummary["spanToReceivedMs"] {
  const sorted = spans
    .map(({ endNs, receivedAtMs }) => receivedAtMs - Number(endNs) / 1e6)
    .sort((a, b) => a - b);
  const at = (share: number): number =>
    Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0) * 10) /
    10;
  return { p50: at(0.5), p99: at(0.99) };
}
