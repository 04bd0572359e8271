import type { SpanMatch } from "../diagnose/finding.js";

/** Describes the expected trace. With no field: one trace id, one root, no orphan, no broken hop. */
export interface UnbrokenExpectation {
  /** The id of the trace to evaluate; other traces are searched for lost halves of it. Default: the only trace. */
  readonly traceId?: string;
  /** The root span. If it names a service, such a span never counts as the lower half of a broken hop. Default: any. */
  readonly root?: SpanMatch;
  /** Services in the order of the request. Each must continue an exit span of the one before. Default: any. */
  readonly path?: readonly string[];
  /** Several such paths, where the request branches. Default: none. */
  readonly paths?: readonly (readonly string[])[];
  /** All services that take part, in any order. Default: any. */
  readonly services?: readonly string[];
  /** The number of spans of the trace. Default: any. */
  readonly spans?: number;
  /** The number of traces, each of which must fulfil all other fields. Default: 1. */
  readonly traces?: number;
  /** Attributes that tell requests apart, to pair the halves of broken hops: see `DiagnoseOptions`. Default: none. */
  readonly joinBy?: readonly string[];
  /** Accept a link in place of a parent, as batches and schedulers make them. Default: false. */
  readonly allowLinks?: boolean;
  /**
   * Accept a root with a parent that never arrives: a caller outside, or a test that sends a traceparent of its
   * own. Default: false.
   */
  readonly remoteRoot?: boolean;
  /** How many milliseconds a child may begin before its parent, because clocks differ. Default: 100. */
  readonly toleranceMs?: number;
}

/** All paths of the expectation. */
export function pathsOf(expectation: UnbrokenExpectation): (readonly string[])[] {
  return [...(expectation.path ? [expectation.path] : []), ...(expectation.paths ?? [])];
}

/**
 * The root of the expectation when it names a service. Without one, such as "any SERVER span", it would excuse every
 * callee that began a new trace.
 */
export function declaredRootOf({ root }: UnbrokenExpectation): SpanMatch | undefined {
  return root?.service === undefined ? undefined : root;
}

/** All services that have to take part, in order of mention. */
export function servicesOf(expectation: UnbrokenExpectation): string[] {
  const { root, services = [] } = expectation;
  const mentioned = [
    ...(root?.service ? [root.service] : []),
    ...pathsOf(expectation).flat(),
    ...services,
  ];
  return [...new Set(mentioned)];
}
