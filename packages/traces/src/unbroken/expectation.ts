import type { SpanMatch } from "../diagnose/span-match.js";

/** What a whole trace looks like. With nothing given it is one trace id, one root, no orphan, no broken hop. */
export interface UnbrokenExpectation {
  /** The trace to judge; others are looked at for lost halves of it. Default: the only one there is. */
  readonly traceId?: string;
  /** What the root must be. */
  readonly root?: SpanMatch;
  /** Services in the order in which the request passes them. Each must continue the exit span of the one before. */
  readonly path?: readonly string[];
  /** Several such paths, where the request forks. */
  readonly paths?: readonly (readonly string[])[];
  /** Exactly these services take part, in any order. */
  readonly services?: readonly string[];
  /** How many spans the trace has. */
  readonly spans?: number;
  /** How many traces there are. Each must be whole and fulfil the rest. Default: 1. */
  readonly traces?: number;
  /** Attributes that tell requests apart, for naming broken hops: see `DiagnoseOptions`. */
  readonly joinBy?: readonly string[];
  /** Take a link for a hop, as batches and schedulers make them. Default: false. */
  readonly allowLinks?: boolean;
  /**
   * Let the root have a parent that never arrives: a caller outside, or a test that made up the trace id.
   * Default: false.
   */
  readonly remoteRoot?: boolean;
  /** How many milliseconds a child may begin before its parent, clocks being what they are. Default: 100. */
  readonly toleranceMs?: number;
}

/** Every path of the expectation. */
export function pathsOf(expectation: UnbrokenExpectation): (readonly string[])[] {
  return [...(expectation.path ? [expectation.path] : []), ...(expectation.paths ?? [])];
}

/** Every service that has to take part, in order of mention. */
export function servicesOf(expectation: UnbrokenExpectation): string[] {
  const { root, services = [] } = expectation;
  const named = [
    ...(root?.service ? [root.service] : []),
    ...pathsOf(expectation).flat(),
    ...services,
  ];
  return [...new Set(named)];
}
