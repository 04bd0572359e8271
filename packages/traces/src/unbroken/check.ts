import { type Finding, isMatch, type SpanMatch } from "../diagnose/finding.js";
import { isHop } from "../diagnose/world.js";
import { hasRemoteParent, type Span } from "../span.js";
import { pathsOf, type UnbrokenExpectation } from "./expectation.js";
import { pathProblem } from "./path.js";
import type { TraceSet } from "./trace-set.js";
import type { TraceUnderTest } from "./trace-under-test.js";

/** The differences between the trace and the expectation, one sentence each; empty when it fulfils the expectation. */
export function problemsOf(
  tested: TraceUnderTest,
  expectation: UnbrokenExpectation,
  traceSet: TraceSet,
): string[] {
  const findings = traceSet.findingsOn(tested.traceIds);
  const root = rootOf(tested, expectation.remoteRoot === true);
  return [
    ...rootProblems(tested, root, expectation.root),
    ...breakProblems(tested, root, expectation, findings),
    ...pathsOf(expectation).flatMap(
      (path) => pathProblem(path, tested, findings, traceSet.services) ?? [],
    ),
    ...sizeProblems(tested, expectation),
    ...hopProblems(tested, expectation.toleranceMs ?? 100),
  ];
}

/** The only span without a parent; where a remote root is allowed, the only one whose parent may be outside. */
function rootOf({ trace }: TraceUnderTest, remoteRoot: boolean): Span | undefined {
  const [first, second] = trace.roots;
  if (first !== undefined) return second === undefined ? first : undefined;
  if (!remoteRoot) return undefined;
  const outside = trace.orphans.filter((span) => hasRemoteParent(span) !== false);
  return outside.length === 1 ? outside[0] : undefined;
}

function rootProblems(
  { trace }: TraceUnderTest,
  root: Span | undefined,
  expected: SpanMatch | undefined,
): string[] {
  if (root === undefined) {
    const roots = trace.roots.map(describeSpan).join(", ");
    if (trace.roots.length > 0) return [`${trace.roots.length} roots instead of one: ${roots}`];
    return [
      "no root: every span names a parent (remoteRoot: true allows a caller that is not exported)",
    ];
  }
  if (expected === undefined || isMatch(root, expected)) return [];
  return [`the root is ${describeSpan(root)}, expected was ${JSON.stringify(expected)}`];
}

function breakProblems(
  tested: TraceUnderTest,
  root: Span | undefined,
  expectation: UnbrokenExpectation,
  findings: readonly Finding[],
): string[] {
  const problems = new Set<string>();
  const explained = new Set([root]);
  for (const finding of findings) {
    const { verdict, exit, entry, from, to, via } = finding;
    if (verdict === undefined || isExcused(finding, tested, expectation)) continue;
    // The caller of a remote root is outside, so its span is not missing.
    if (exit === undefined && entry === root) continue;
    explained.add(entry);
    problems.add(`${from} → ${to} (${via}) is ${verdict.code}: ${verdict.sentence}`);
  }
  for (const orphan of tested.trace.orphans) {
    if (!explained.has(orphan)) problems.add(`the parent of ${describeSpan(orphan)} never arrived`);
  }
  return [...problems];
}

function isExcused(
  { ok, linked, exact, exit, entry, from, to }: Finding,
  tested: TraceUnderTest,
  { allowLinks = false, traceId }: UnbrokenExpectation,
): boolean {
  if (!tested.has(exit) && !tested.has(entry)) return true;
  if (linked && allowLinks) return true;
  if (traceId === undefined) return false;
  // The expectation is about one trace: a link into or out of it does not break it, and a root that may belong to a
  // timer of the same process is no proof against it.
  return (linked && ok) || (from === to && !exact && !tested.has(entry));
}

function sizeProblems(tested: TraceUnderTest, { services, spans }: UnbrokenExpectation): string[] {
  const problems: string[] = [];
  if (services !== undefined) {
    const missing = services.filter((service) => !tested.services.includes(service));
    const extra = tested.services.filter((service) => !services.includes(service));
    if (missing.length > 0) problems.push(`no span of ${missing.join(", ")} in this trace`);
    if (extra.length > 0) problems.push(`not expected to take part: ${extra.join(", ")}`);
  }
  if (spans !== undefined && tested.spans.length !== spans) {
    problems.push(`${tested.spans.length} spans instead of ${spans}`);
  }
  return problems;
}

function hopProblems(tested: TraceUnderTest, toleranceMs: number): string[] {
  const problems: string[] = [];
  const toleranceNs = BigInt(Math.round(toleranceMs * 1e6));
  for (const span of tested.spans) {
    const parent = tested.parentOf(span);
    if (parent === undefined || !isHop(parent, span)) continue;
    if (hasRemoteParent(span) === false) {
      problems.push(
        `${describeSpan(span)} claims a local parent, but continues ${describeSpan(parent)}`,
      );
    }
    if (span.startNs + toleranceNs < parent.startNs) {
      const ahead = Number(parent.startNs - span.startNs) / 1e6;
      problems.push(
        `${describeSpan(span)} began ${ahead} ms before its parent ${describeSpan(parent)}`,
      );
    }
  }
  return problems;
}

function describeSpan(span: Span): string {
  return `"${span.name}" (${span.kind}) of ${span.service}`;
}
