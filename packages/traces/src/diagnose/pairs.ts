import { byStart } from "../assemble.js";
import { isEntry, type Span } from "../span.js";
import { viaOf } from "./address.js";
import { causeOf } from "./cause.js";
import { type Finding, isMatch, type SpanMatch } from "./finding.js";
import { Pairing } from "./pairing.js";
import { verdict } from "./verdicts.js";
import { arrivedUnsampled, causeOnWire, leftEmpty, spanIdOf, type WireRecord } from "./wire.js";
import type { World } from "./world.js";

/** Pairs entry roots with the open exit spans that they belong to: between the two the trace id changed. */
export function brokenPairs(
  world: World,
  options: {
    readonly joinBy: readonly string[];
    readonly toleranceMs: number;
    readonly root: SpanMatch | undefined;
    readonly wire: readonly WireRecord[];
  },
  linked: ReadonlySet<Span | undefined>,
): Finding[] {
  const { root, wire } = options;
  const entries = world.traces
    .flatMap((trace) => trace.roots.map((entry) => ({ entry, trace, startNs: entry.startNs })))
    .filter(({ entry }) => isEntry(entry) && !linked.has(entry))
    .filter(({ entry }) => root === undefined || !isMatch(entry, root))
    .sort(byStart);
  if (entries.length === 0) return [];
  const pairing = new Pairing(world, options);
  const records = byCaller(wire);
  return entries.flatMap(({ entry, trace }) => {
    const pair = pairing.pairOf(entry, trace);
    if (pair === undefined) return [];
    const { exit, exact } = pair;
    const record = records.get(exit.spanId) ?? wire.find((sent) => isEmptyOn(sent, exit, entry));
    const cause = causeOf(exit, entry, world, record && causeOnWire(record));
    return {
      from: exit.service,
      to: entry.service,
      via: viaOf(entry),
      ok: false,
      verdict: cause,
      exit,
      entry,
      exact,
      linked: false,
      atNs: entry.startNs,
    };
  });
}

/** Finds exit spans whose traceparent arrived unsampled by a wire record, so that the callee recorded nothing. */
export function unsampledCalls(world: World, wire: readonly WireRecord[]): Finding[] {
  const records = byCaller(wire.filter(arrivedUnsampled));
  if (records.size === 0) return [];
  return world.traces.flatMap((trace) =>
    trace.spans.flatMap((exit) => {
      const record = records.get(exit.spanId);
      if (record === undefined || world.answersTo(exit).size > 0) return [];
      const facts = { from: exit.service, to: record.to ?? "?", via: viaOf(exit) };
      return {
        ...facts,
        ok: false,
        verdict: verdict("NOT_SAMPLED", facts),
        exit,
        entry: undefined,
        exact: true,
        linked: false,
        atNs: exit.startNs,
      };
    }),
  );
}

function byCaller(wire: readonly WireRecord[]): Map<string, WireRecord> {
  const records = new Map<string, WireRecord>();
  for (const record of wire) {
    const spanId = spanIdOf(record);
    if (spanId !== undefined) records.set(spanId, record);
  }
  return records;
}

function isEmptyOn(record: WireRecord, exit: Span, entry: Span): boolean {
  return leftEmpty(record) && record.from === exit.service && record.to === entry.service;
}
