import type { Finding } from "../diagnose/finding.js";
import { isMatch, type SpanMatch } from "../diagnose/span-match.js";
import { isHop } from "../diagnose/world.js";
import { hasRemoteParent, type Span } from "../span.js";
import { pathsOf, type UnbrokenExpectation } from "./expectation.js";
import { pathProblem } from "./path.js";
import type { Surroundings } from "./trace-set.js";
import type { Subject } from "./trace-under-test.js";

/** What keeps a trace from being what was expected, one sentence each; empty when it is whole. */
export function problemsOf(
  subject: Subject,
  expectation: UnbrokenExpectation,
  surroundings: Surroundings,
): string[] {
  const findings = surroundings.findingsOn(subject.traceIds);
  const top = topOf(subject, expectation.remoteRoot === true);
  return [
    ...rootProblems(subject, top, expectation.root),
    ...breakProblems(subject, top, expectation, findings),
    ...pathsOf(expectation).flatMap(
      (path) => pathProblem(path, subject, findings, surroundings.services) ?? [],
    ),
    ...sizeProblems(subject, expectation),
    ...hopProblems(subject, expectation.toleranceMs ?? 100),
  ];
}

/** The one span that everything hangs from; with a remote root it is the one whose caller is outside. */
function topOf({ trace }: Subject, remoteRoot: boolean): Span | undefined {
  const [root, second] = trace.roots;
  if (root !== undefined) return second === undefined ? root : undefined;
  if (!remoteRoot) return undefined;
  const outside = trace.orphans.filter((span) => hasRemoteParent(span) !== false);
  return outside.length === 1 ? outside[0] : undefined;
}

function rootProblems(
  { trace }: Subject,
  top: Span | undefined,
  expected: SpanMatch | undefined,
): string[] {
  if (top === undefined) {
    const roots = trace.roots.map(named).join(", ");
    if (trace.roots.length > 0) return [`${trace.roots.length} roots instead of one: ${roots}`];
    return [
      "no root: every span names a parent (remoteRoot: true allows a caller that is not exported)",
    ];
  }
  if (expected === undefined || isMatch(top, expected)) return [];
  return [`the root is ${named(top)}, expected was ${JSON.stringify(expected)}`];
}

function breakProblems(
  subject: Subject,
  top: Span | undefined,
  { allowLinks = false, traceId }: UnbrokenExpectation,
  findings: readonly Finding[],
): string[] {
  const problems = new Set<string>();
  const explained = new Set([top]);
  for (const { ok, linked, exact, verdict, exit, entry, from, to, via } of findings) {
    if (verdict === undefined || !(subject.has(exit) || subject.has(entry))) continue;
    // A timer in the same process may have begun that root: no proof against the one trace that was named.
    if (traceId !== undefined && from === to && !exact && !subject.has(entry)) continue;
    // The caller of a remote root is outside, and so not missed.
    if (exit === undefined && entry === top) continue;
    // Where one trace was named, a link into or out of it is another trace's matter.
    if (linked && (allowLinks || (ok && traceId !== undefined))) continue;
    explained.add(entry);
    problems.add(`${from} → ${to} (${via}) is ${verdict.code}: ${verdict.sentence}`);
  }
  for (const orphan of subject.trace.orphans) {
    if (!explained.has(orphan)) problems.add(`the parent of ${named(orphan)} never arrived`);
  }
  return [...problems];
}

function sizeProblems(subject: Subject, { services, spans }: UnbrokenExpectation): string[] {
  const problems: string[] = [];
  if (services !== undefined) {
    const missing = services.filter((service) => !subject.services.includes(service));
    const extra = subject.services.filter((service) => !services.includes(service));
    if (missing.length > 0) problems.push(`no span of ${missing.join(", ")} in this trace`);
    if (extra.length > 0) problems.push(`not expected to take part: ${extra.join(", ")}`);
  }
  if (spans !== undefined && subject.spans.length !== spans) {
    problems.push(`${subject.spans.length} spans instead of ${spans}`);
  }
  return problems;
}

function hopProblems(subject: Subject, toleranceMs: number): string[] {
  const problems: string[] = [];
  const toleranceNs = BigInt(Math.round(toleranceMs * 1e6));
  for (const span of subject.spans) {
    const parent = subject.parentOf(span);
    if (parent === undefined || !isHop(parent, span)) continue;
    if (hasRemoteParent(span) === false) {
      problems.push(`${named(span)} claims a local parent, but continues ${named(parent)}`);
    }
    if (span.startNs + toleranceNs < parent.startNs) {
      const ahead = Number(parent.startNs - span.startNs) / 1e6;
      problems.push(`${named(span)} began ${ahead} ms before its parent ${named(parent)}`);
    }
  }
  return problems;
}

function named(span: Span): string {
  return `"${span.name}" (${span.kind}) of ${span.service}`;
}
