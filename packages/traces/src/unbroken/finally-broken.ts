import { assembleTraces } from "../assemble.js";
import { findingsOf } from "../diagnose/index.js";
import type { Span } from "../span.js";
import { declaredRootOf, servicesOf, type UnbrokenExpectation } from "./expectation.js";

/**
 * True when the trace stays broken whatever spans arrive later, so that waiting for missing services is useless: both
 * halves of a hop have arrived, with different trace ids. An orphan is no proof, because its parent may still run.
 */
export function isFinallyBroken(spans: readonly Span[], expectation: UnbrokenExpectation): boolean {
  const { traceId, joinBy = [], allowLinks = false } = expectation;
  const root = declaredRootOf(expectation);
  const expectedServices = new Set(servicesOf(expectation));
  const findings = findingsOf(assembleTraces(spans), {
    joinBy,
    ...(root && { root }),
  });
  return findings.some(({ verdict, linked, exit, entry }) => {
    if (verdict === undefined || exit === undefined || entry === undefined) return false;
    if (exit.traceId === entry.traceId || (linked && allowLinks)) return false;
    return (
      traceId === undefined || (exit.traceId === traceId && expectedServices.has(entry.service))
    );
  });
}
