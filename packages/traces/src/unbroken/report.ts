import type { Trace } from "../assemble.js";
import type { Finding } from "../diagnose/finding.js";
import { type Hop, summaryOf } from "../diagnose/index.js";
import { renderWaterfall } from "../waterfall/index.js";
import { printable } from "../waterfall/text.js";
import { pathsOf, type UnbrokenExpectation } from "./expectation.js";
import { formatPath } from "./path.js";
import type { TraceUnderTest } from "./trace-under-test.js";

/** The problems of each trace; those under undefined concern all traces together. */
type Problems = ReadonlyMap<TraceUnderTest | undefined, readonly string[]>;

/** The problems of so many traces are listed; further broken traces are counted. */
const MAX_EXPLAINED = 3;

/** An evaluation, and what it was made from. */
export interface Outcome {
  readonly expectation: UnbrokenExpectation;
  readonly traces: readonly Trace[];
  readonly testedTraces: readonly TraceUnderTest[];
  readonly problems: Problems;
  readonly findings: readonly Finding[];
}

/** Writes the message of an evaluation: the expectation, the problems, all hops, and the waterfall. */
export function report(outcome: Outcome): string {
  const { expectation, traces, testedTraces, problems, findings } = outcome;
  const expected = describeExpectation(expectation);
  if (traces.length === 0) return `expected ${expected}\nbut nothing arrived at all`;
  const lines =
    problems.size === 0
      ? [`expected anything but ${expected}`]
      : [`expected ${expected}`, "but:", ...problemLines(outcome)];
  const drawn = tracesToDraw(outcome);
  const drawnIds = new Set(drawn.map((trace) => trace.traceId));
  const drawnFindings = findings.filter(
    ({ exit, entry }) => drawnIds.has(exit?.traceId ?? "") || drawnIds.has(entry?.traceId ?? ""),
  );
  const { hops } = summaryOf(testedTraces.length > 1 ? findings : drawnFindings);
  return [
    ...lines.map(printableLine),
    "",
    ...(hops.length > 0 ? ["hops:", ...hops.flatMap(hopLines), ""] : []),
    renderWaterfall(drawn, { diagnosis: summaryOf(drawnFindings) }),
  ].join("\n");
}

function problemLines({ testedTraces, problems }: Outcome): string[] {
  const lines = (problems.get(undefined) ?? []).map((problem) => `  - ${problem}`);
  const broken = testedTraces.filter((tested) => problems.has(tested));
  for (const tested of broken.slice(0, MAX_EXPLAINED)) {
    const prefix = testedTraces.length > 1 ? `trace ${tested.trace.traceId}: ` : "";
    for (const problem of problems.get(tested) ?? []) lines.push(`  - ${prefix}${problem}`);
  }
  if (broken.length > MAX_EXPLAINED) {
    lines.push(
      `  … and ${broken.length - MAX_EXPLAINED} more of ${testedTraces.length} traces are broken`,
    );
  }
  return lines;
}

// Of several traces only the first broken one is drawn, with those that it is joined to.
function tracesToDraw({ traces, testedTraces, problems, findings }: Outcome): readonly Trace[] {
  const first = testedTraces.find((tested) => problems.has(tested)) ?? testedTraces[0];
  if (first === undefined || problems.has(undefined)) return traces;
  return relatedTraces(first, traces, findings);
}

function describeExpectation(expectation: UnbrokenExpectation): string {
  const { traces = 1, traceId, services } = expectation;
  const paths = pathsOf(expectation).map(formatPath);
  const label = traces === 1 ? `trace ${traceId ?? ""}`.trim() : `${traces} traces`;
  const along = paths.length > 0 ? ` along ${paths.join(" and ")}` : "";
  const through = services === undefined ? "" : ` through ${services.join(", ")}`;
  return `${traces === 1 ? "one unbroken" : "unbroken"} ${label}${along}${through}`;
}

function hopLines({ from, to, via, ok, verdict, count }: Hop): string[] {
  const code = verdict === undefined ? "" : `  ${verdict.code}`;
  const line = `  ${ok ? "✓" : "✗"} ${from} → ${to}  ${via}  ×${count}${code}`;
  if (verdict === undefined) return [printableLine(line)];
  return [line, `      ${verdict.sentence}`, `      ${ok ? "note" : "fix"}: ${verdict.hint}`].map(
    printableLine,
  );
}

// The trace and those that a break or a link joins to it, directly or over others, in both directions.
function relatedTraces(
  tested: TraceUnderTest,
  traces: readonly Trace[],
  findings: readonly Finding[],
): Trace[] {
  const ids = new Set([tested.trace.traceId]);
  const joins = findings.flatMap(({ exit, entry }) =>
    exit && entry && exit.traceId !== entry.traceId ? [[exit.traceId, entry.traceId]] : [],
  );
  for (let size = 0; size !== ids.size; ) {
    size = ids.size;
    for (const join of joins)
      if (join.some((id) => ids.has(id))) for (const id of join) ids.add(id);
  }
  return traces.filter((trace) => ids.has(trace.traceId));
}

// Names of services and spans are untrusted here too; the limit is higher, because lines hold whole paths.
function printableLine(line: string): string {
  return printable(line, 1000);
}
