import { type SpansOrTraces, type Trace, tracesOf } from "../assemble.js";
import type { Break, Finding } from "./finding.js";
import { heldHops } from "./held.js";
import { lossesInProcess } from "./in-process.js";
import { linkedHalves } from "./links.js";
import { orphanedHalves } from "./orphans.js";
import { brokenPairs, unsampledCalls } from "./pairs.js";
import type { SpanMatch } from "./span-match.js";
import type { Verdict } from "./verdicts.js";
import type { WireRecord } from "./wire.js";
import { World } from "./world.js";

export interface DiagnoseOptions {
  /**
   * Attributes of your application that tell requests apart and are found on both sides of a hop, or on the
   * spans around it: "order.id". Default: none; then gRPC and HTTP halves are joined by time.
   */
  readonly joinBy?: readonly string[];
  /** How far the clocks of two processes may be apart, for joining by time. Default: 5. */
  readonly toleranceMs?: number;
  /** With what traces are meant to begin: such a span is never the lower half of a broken hop. Default: none. */
  readonly root?: SpanMatch;
  /** What was on the wire, when somebody looked. Default: the spans alone are judged. */
  readonly wire?: readonly WireRecord[];
}

/** How often one service reached another by one way, and with what result. */
export interface Hop {
  readonly from: string;
  readonly to: string;
  /** "grpc shop.v1.Orders/Place", "kafka orders", "bullmq mails", "http POST /orders". */
  readonly via: string;
  /** False when the trace broke here. */
  readonly ok: boolean;
  /** Why it broke, or, on a hop that is ok, that it is a link and no parent. */
  readonly verdict?: Verdict;
  readonly count: number;
}

/** What held and what broke. */
export interface Diagnosis {
  /** Every way between two services, in order of first use. */
  readonly hops: readonly Hop[];
  readonly breaks: readonly Break[];
  /** Halves that are joined by a link: on purpose, so no break, unless you expected one trace. */
  readonly links: readonly Break[];
}

/**
 * Names every hop between services, and for those that lost the trace the reason. Only a pair is a
 * break: a root alone may have been called from outside, an exit alone may have gone to a database.
 */
export function diagnose(input: SpansOrTraces, options: DiagnoseOptions = {}): Diagnosis {
  return summaryOf(findingsOf(tracesOf(input), options));
}

/** Every use of every hop, in order of time. */
export function findingsOf(traces: readonly Trace[], options: DiagnoseOptions): Finding[] {
  const { joinBy = [], toleranceMs = 5, root, wire = [] } = options;
  const world = new World(traces);
  const held = heldHops(world, toleranceMs);
  const links = linkedHalves(world);
  const linked = new Set(links.map((link) => link.entry));
  return [
    ...held,
    ...links,
    ...brokenPairs(world, { joinBy, toleranceMs, root, wire }, linked),
    ...unsampledCalls(world, wire),
    ...lossesInProcess(world, root),
    ...orphanedHalves(world, root),
  ].sort((a, b) => (a.atNs < b.atNs ? -1 : a.atNs > b.atNs ? 1 : 0));
}

/** The findings as a diagnosis. */
export function summaryOf(findings: readonly Finding[]): Diagnosis {
  return {
    hops: hopsOf(findings),
    breaks: findings.filter((finding) => !finding.ok).flatMap(breakOf),
    links: findings.filter((finding) => finding.ok).flatMap(breakOf),
  };
}

function hopsOf(findings: readonly Finding[]): Hop[] {
  const hops = new Map<string, Hop>();
  for (const { from, to, via, ok, verdict } of findings) {
    const key = JSON.stringify([from, to, via, ok, verdict?.code]);
    const count = (hops.get(key)?.count ?? 0) + 1;
    hops.set(key, { from, to, via, ok, ...(verdict && { verdict }), count });
  }
  return [...hops.values()];
}

function breakOf({ from, to, via, verdict, exit, entry, exact }: Finding): Break[] {
  return verdict === undefined ? [] : [{ from, to, via, verdict, exit, entry, exact }];
}
