import { assembleTraces, type Trace } from "../assemble.js";
import type { Finding } from "../diagnose/finding.js";
import { findingsOf } from "../diagnose/index.js";
import type { Span } from "../span.js";
import { problemsOf } from "./check.js";
import { declaredRootOf, type UnbrokenExpectation } from "./expectation.js";
import { report } from "./report.js";
import { TraceSet } from "./trace-set.js";
import { TraceUnderTest } from "./trace-under-test.js";

/** The result, with a message of verdicts and a waterfall that explains it. */
export interface Evaluation {
  readonly pass: boolean;
  readonly message: string;
}

/** Evaluates if a trace arrived whole: one trace id, one root, no orphan, every hop continued. */
export function evaluateUnbroken(
  spans: readonly Span[],
  expectation: UnbrokenExpectation = {},
): Evaluation {
  const { allowLinks = false, joinBy = [], traces: expectedTraces = 1, traceId } = expectation;
  const traces = assembleTraces(spans);
  const root = declaredRootOf(expectation);
  const findings = findingsOf(traces, { joinBy, ...(root && { root }) });
  const traceSet = new TraceSet(traces, findings);
  const chosen =
    traceId === undefined
      ? upperTraces(traces, findings)
      : traces.filter((trace) => trace.traceId === traceId);
  const testedTraces = chosen.map((trace) =>
    allowLinks ? new TraceUnderTest(trace, traceSet) : new TraceUnderTest(trace),
  );
  const problems = new Map<TraceUnderTest | undefined, readonly string[]>();
  if (traceId !== undefined && testedTraces.length === 0) {
    problems.set(undefined, [`no span of trace ${traceId} arrived`]);
  }
  if (traceId === undefined && testedTraces.length !== expectedTraces) {
    problems.set(undefined, [
      `${testedTraces.length} separate traces arrived instead of ${expectedTraces}`,
    ]);
  }
  for (const tested of testedTraces) {
    const problemsOfTrace = problemsOf(tested, expectation, traceSet);
    if (problemsOfTrace.length > 0) problems.set(tested, problemsOfTrace);
  }
  const pass = problems.size === 0;
  return { pass, message: report({ expectation, traces, testedTraces, problems, findings }) };
}

// The lower half of a broken or linked trace is not counted as a trace of its own.
function upperTraces(traces: readonly Trace[], findings: readonly Finding[]): readonly Trace[] {
  const lower = new Set<string>();
  for (const { exit, entry } of findings) {
    if (exit !== undefined && entry !== undefined && exit.traceId !== entry.traceId) {
      lower.add(entry.traceId);
    }
  }
  const upper = traces.filter((trace) => !lower.has(trace.traceId));
  return upper.length === 0 ? traces : upper;
}
