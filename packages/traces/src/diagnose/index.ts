import { compareTimes, type SpansOrTraces, type Trace, tracesOf } from "../assemble.js";
import type { Break, Finding, SpanMatch } from "./finding.js";
import { heldHops } from "./held.js";
import { lossesInProcess } from "./in-process.js";
import { linkedHalves } from "./links.js";
import { orphanedHalves } from "./orphans.js";
import { brokenPairs, unsampledCalls } from "./pairs.js";
import type { Verdict } from "./verdicts.js";
import type { WireRecord } from "./wire.js";
import { World } from "./world.js";

/** Options of `diagnose`. */
export interface DiagnoseOptions {
  /**
   * Attributes of your application that tell requests apart, such as "order.id", and are set on both sides of a hop
   * or on the spans around it. Default: none; then gRPC and HTTP halves are joined by time.
   */
  readonly joinBy?: readonly string[];
  /** How many milliseconds the clocks of two processes may differ, for joining by time. Default: 5. */
  readonly toleranceMs?: number;
  /** The span that traces begin with: it never counts as the lower half of a broken hop. Default: none. */
  readonly root?: SpanMatch;
  /** Headers that a proxy or a recording client saw. Default: none; then the spans alone decide. */
  readonly wire?: readonly WireRecord[];
}

/** A hop from service to service: its uses with the same result, as one, with their number. */
export interface Hop {
  readonly from: string;
  readonly to: string;
  /** "grpc shop.v1.Orders/Place", "kafka orders", "bullmq mails", "http POST /orders". */
  readonly via: string;
  /** False when the trace broke here. */
  readonly ok: boolean;
  /** Why it broke; on a hop that is ok, that a link joins it. */
  readonly verdict?: Verdict;
  /** The number of uses. */
  readonly count: number;
}

/** The hops of traces, and their breaks. */
export interface Diagnosis {
  /** All hops, in order of first use. */
  readonly hops: readonly Hop[];
  /** The breaks, in order of time. */
  readonly breaks: readonly Break[];
  /** Hops that a link joins. They are made on purpose, so they are no breaks. */
  readonly links: readonly Break[];
}

/**
 * Lists every hop between services, and why the broken ones lost the trace. Only two halves make a broken hop: a root
 * alone may have been called from outside, an exit span alone may have gone to a database.
 */
export function diagnose(input: SpansOrTraces, options: DiagnoseOptions = {}): Diagnosis {
  return summaryOf(findingsOf(tracesOf(input), options));
}

/** All uses of all hops, in order of time. */
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
  ].sort((a, b) => compareTimes(a.atNs, b.atNs));
}

/** Summarizes findings as a diagnosis. */
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
