import { assembleTraces, diagnose, renderWaterfall, type Span } from "@traceferry/traces";
import pc from "picocolors";
import { expectedTrace } from "../topology/expected-trace.js";
import type { Implementations } from "../topology/roles.js";
import { type DemoSummary, type HopSummary, isUnbroken } from "./summary.js";

const DEFAULT_WIDTH = 110;

/** Renders the first trace as a waterfall, a line for each hop, and the summary. */
export function printSummary(
  summary: DemoSummary,
  spans: readonly Span[],
  traceId: string,
  implementations: Implementations,
): string {
  return [
    waterfall(summary, spans, traceId, implementations),
    "",
    ...summary.hops.map(hopLine),
    "",
    summaryLine(summary),
  ].join("\n");
}

// One trace of an unbroken run is shown, and all traces of a single broken request, with the diagnosis.
function waterfall(
  summary: DemoSummary,
  spans: readonly Span[],
  traceId: string,
  implementations: Implementations,
): string {
  const options = {
    width: process.stdout.columns ?? DEFAULT_WIDTH,
    color: pc.isColorSupported,
  };
  const traces = assembleTraces(spans);
  if (isUnbroken(summary) || summary.requests > 1) {
    const shown = traces.find((trace) => trace.traceId === traceId) ?? traces[0];
    return shown === undefined ? "no span arrived" : renderWaterfall(shown, options);
  }
  const diagnosis = diagnose(traces, { root: expectedTrace(implementations).root });
  return renderWaterfall(traces, { ...options, diagnosis });
}

function hopLine({ from, to, via, ok, verdict, why }: HopSummary): string {
  const mark = ok ? pc.green("ok    ") : pc.red("BROKEN");
  const line = `${mark} ${from} -> ${to}  ${pc.dim(via)}`;
  return ok ? line : `${line}\n       ${pc.red(verdict)}: ${why}`;
}

function summaryLine(summary: DemoSummary): string {
  const { requests, answered, complete, traces, roots, orphans, services, hops } = summary;
  const passed = hops.filter(({ ok }) => ok).length;
  const word = isUnbroken(summary) ? pc.bold(pc.green("UNBROKEN")) : pc.bold(pc.red("BROKEN"));
  const facts = [
    counted(traces, "trace"),
    counted(roots, "root"),
    counted(orphans, "orphan"),
    counted(services.length, "service"),
    passed === hops.length ? counted(passed, "hop") : `${passed} of ${hops.length} hops`,
  ];
  const requestCounts =
    requests > 1 || answered < requests || complete < requests
      ? `  (${counted(requests, "request")}, ${answered} answered, ${complete} complete)`
      : "";
  return `${word}  ${facts.join(", ")}${requestCounts}`;
}

function counted(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}
