import { assembleTraces, type Trace } from "../assemble.js";
import type { Finding } from "../diagnose/finding.js";
import { findingsOf } from "../diagnose/index.js";
import type { Span } from "../span.js";
import { problemsOf } from "./check.js";
import type { UnbrokenExpectation } from "./expectation.js";
import { report } from "./report.js";
import { Surroundings } from "./trace-set.js";
import { Subject } from "./trace-under-test.js";

/** The outcome, and the verdicts and the waterfall that explain it. */
export interface Evaluation {
  readonly pass: boolean;
  readonly message: string;
}

/** Judges whether a trace arrived whole: one trace id, one root, no orphan, every hop continued. */
export function evaluateUnbroken(
  spans: readonly Span[],
  expectation: UnbrokenExpectation = {},
): Evaluation {
  const { allowLinks = false, joinBy = [], root, traces: wanted = 1, traceId } = expectation;
  const traces = assembleTraces(spans);
  // Only a named service is a declared entry: "any SERVER span" would excuse every broken callee.
  const declared = root?.service === undefined ? undefined : root;
  const findings = findingsOf(traces, { joinBy, ...(declared && { root: declared }) });
  const surroundings = new Surroundings(traces, findings);
  const chosen =
    traceId === undefined
      ? tops(traces, findings)
      : traces.filter((trace) => trace.traceId === traceId);
  const subjects = chosen.map((trace) =>
    allowLinks ? new Subject(trace, surroundings) : new Subject(trace),
  );
  const problems = new Map<Subject | undefined, readonly string[]>();
  if (traceId !== undefined && subjects.length === 0) {
    problems.set(undefined, [`no span of trace ${traceId} arrived`]);
  }
  if (traceId === undefined && subjects.length !== wanted) {
    problems.set(undefined, [`${subjects.length} separate traces arrived instead of ${wanted}`]);
  }
  for (const subject of subjects) {
    const found = problemsOf(subject, expectation, surroundings);
    if (found.length > 0) problems.set(subject, found);
  }
  const pass = problems.size === 0;
  return { pass, message: report({ expectation, traces, subjects, problems, findings }) };
}

// A trace that is the lower half of another is no trace of its own.
function tops(traces: readonly Trace[], findings: readonly Finding[]): readonly Trace[] {
  const lower = new Set<string>();
  for (const { exit, entry } of findings) {
    if (exit !== undefined && entry !== undefined && exit.traceId !== entry.traceId) {
      lower.add(entry.traceId);
    }
  }
  const upper = traces.filter((trace) => !lower.has(trace.traceId));
  return upper.length === 0 ? traces : upper;
}
