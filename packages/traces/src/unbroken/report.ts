import type { Trace } from "../assemble.js";
import type { Finding } from "../diagnose/finding.js";
import { type Hop, summaryOf } from "../diagnose/index.js";
import { renderWaterfall } from "../waterfall/index.js";
import { printable } from "../waterfall/text.js";
import { pathsOf, type UnbrokenExpectation } from "./expectation.js";
import { shown } from "./path.js";
import type { Subject } from "./trace-under-test.js";

/** What was found, by subject; undefined stands for all of them together. */
export type Problems = ReadonlyMap<Subject | undefined, readonly string[]>;

/** Of many broken traces so many are explained; the others are counted. */
const maxExplained = 3;

/** The message of a judgement: what was expected, what is wrong, every hop, and the waterfall. */
export function report(outcome: {
  readonly expectation: UnbrokenExpectation;
  readonly traces: readonly Trace[];
  readonly subjects: readonly Subject[];
  readonly problems: Problems;
  readonly findings: readonly Finding[];
}): string {
  const { expectation, traces, subjects, problems, findings } = outcome;
  if (traces.length === 0) return `expected ${wish(expectation)}\nbut nothing arrived at all`;
  const broken = subjects.filter((subject) => problems.has(subject));
  const lines = [`expected ${problems.size === 0 ? "anything but " : ""}${wish(expectation)}`];
  if (problems.size > 0) lines.push("but:");
  for (const problem of problems.get(undefined) ?? []) lines.push(`  - ${problem}`);
  for (const subject of broken.slice(0, maxExplained)) {
    const where = subjects.length > 1 ? `trace ${subject.trace.traceId}: ` : "";
    for (const problem of problems.get(subject) ?? []) lines.push(`  - ${where}${problem}`);
  }
  if (broken.length > maxExplained) {
    lines.push(
      `  … and ${broken.length - maxExplained} more of ${subjects.length} traces are broken`,
    );
  }
  // With many traces, or with strangers beside the one that matters, only what belongs to it is drawn.
  const first = broken[0] ?? subjects[0];
  const drawn =
    first === undefined || problems.get(undefined) ? traces : related(first, traces, findings);
  const drawnIds = new Set(drawn.map((trace) => trace.traceId));
  const about = findings.filter(
    ({ exit, entry }) => drawnIds.has(exit?.traceId ?? "") || drawnIds.has(entry?.traceId ?? ""),
  );
  const { hops } = summaryOf(subjects.length > 1 ? findings : about);
  return [
    ...lines.map(printableLine),
    "",
    ...(hops.length > 0 ? ["hops:", ...hops.flatMap(hopLines), ""] : []),
    renderWaterfall(drawn, { diagnosis: summaryOf(about) }),
  ].join("\n");
}

function wish(expectation: UnbrokenExpectation): string {
  const { traces = 1, traceId, services } = expectation;
  const paths = pathsOf(expectation).map(shown);
  const what = traces === 1 ? `trace ${traceId ?? ""}`.trim() : `${traces} traces`;
  const along = paths.length > 0 ? ` along ${paths.join(" and ")}` : "";
  const through = services === undefined ? "" : ` through ${services.join(", ")}`;
  return `${traces === 1 ? "one unbroken" : "unbroken"} ${what}${along}${through}`;
}

function hopLines({ from, to, via, ok, verdict, count }: Hop): string[] {
  const code = verdict === undefined ? "" : `  ${verdict.code}`;
  const line = `  ${ok ? "✓" : "✗"} ${from} → ${to}  ${via}  ×${count}${code}`;
  if (verdict === undefined) return [printableLine(line)];
  return [line, `      ${verdict.sentence}`, `      ${ok ? "note" : "fix"}: ${verdict.hint}`].map(
    printableLine,
  );
}

// The trace, and what broke or was linked off it, at any remove, in both directions.
function related(
  subject: Subject,
  traces: readonly Trace[],
  findings: readonly Finding[],
): Trace[] {
  const ids = new Set([subject.trace.traceId]);
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

// Names come from strangers here too, and long ones matter.
function printableLine(line: string): string {
  return printable(line, 1000);
}
