import { assembleTraces } from "../assemble.js";
import { findingsOf } from "../diagnose/index.js";
import type { Span } from "../span.js";
import { servicesOf, type UnbrokenExpectation } from "./expectation.js";

/**
 * Whether the trace is broken for good, so that waiting for the missing services is in vain: both halves of a
 * hop are here, with different trace ids. An orphan settles nothing, its parent may still be at work.
 */
export function isFinallyBroken(spans: readonly Span[], expectation: UnbrokenExpectation): boolean {
  const { traceId, joinBy = [], root, allowLinks = false } = expectation;
  const declared = root?.service === undefined ? undefined : root;
  const wanted = new Set(servicesOf(expectation));
  const findings = findingsOf(assembleTraces(spans), {
    joinBy,
    ...(declared && { root: declared }),
  });
  return findings.some(({ verdict, linked, exit, entry }) => {
    if (verdict === undefined || exit === undefined || entry === undefined) return false;
    if (exit.traceId === entry.traceId || (linked && allowLinks)) return false;
    return traceId === undefined || (exit.traceId === traceId && wanted.has(entry.service));
  });
}
