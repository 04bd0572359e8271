import { byStart, type Trace } from "../assemble.js";
import type { TestSpan } from "../span.js";
import { type Address, meets, ownKeyOf, read, sendsOn } from "./address.js";
import type { World } from "./world.js";

/** What went out in one trace and, as far as one can tell, came in as another. */
export interface Pair {
  readonly exit: TestSpan;
  readonly entry: TestSpan;
  /** Whether a key on both spans says so; else it is the time only. */
  readonly exact: boolean;
}

export interface PairingOptions {
  readonly joinBy: readonly string[];
  readonly toleranceMs: number;
}

/** One end of a hop and what it can be joined by. */
interface End {
  readonly span: TestSpan;
  readonly address: Address;
  readonly key: string | undefined;
  readonly joins: ReadonlyMap<string, string>;
}

/** How long a message may lie in a queue when nothing but the time joins its two spans. */
const messageWindowNs = 5_000_000_000n;

/**
 * Joins entry roots with open exits: first by the hop's own key (a record's offset, a message's id), then by the
 * attributes in `joinBy`, else by time. By time the hop is right, the single request often is not.
 */
export class Pairing {
  readonly #world: World;
  readonly #joinBy: readonly string[];
  readonly #toleranceNs: bigint;
  readonly #byKey = new Map<string, End[]>();
  readonly #byJoin = new Map<string, End[]>();
  readonly #byPlace = new Map<string, End[]>();
  readonly #used = new Map<TestSpan, Set<string>>();

  constructor(world: World, options: PairingOptions) {
    this.#world = world;
    this.#joinBy = options.joinBy;
    this.#toleranceNs = BigInt(Math.round(options.toleranceMs * 1e6));
    const exits: End[] = [];
    for (const trace of world.traces) {
      for (const span of trace.spans) {
        const address = world.addressOf(span);
        // A call has one callee: what was answered is of no interest. A message may have many takers.
        const open = address.messaging || world.answersTo(span).size === 0;
        if (open && sendsOn(span, address)) exits.push(this.#endOf(span, () => above(span, trace)));
      }
    }
    for (const end of exits.sort((a, b) => byStart(a.span, b.span))) {
      if (end.key !== undefined) put(this.#byKey, end.key, end);
      for (const [name, value] of end.joins) put(this.#byJoin, JSON.stringify([name, value]), end);
      for (const place of placesOf(end.address)) put(this.#byPlace, place, end);
    }
  }

  /** The other half of an entry root; undefined when it came from outside. To be asked in order of start. */
  pairOf(entry: TestSpan, trace: Trace): Pair | undefined {
    const end = this.#endOf(entry, () => trace.spans);
    const exact = this.#byOwnKey(end) ?? this.#byAttribute(end);
    const exit = exact ?? this.#byTime(end);
    if (exit === undefined) return undefined;
    const used = this.#used.get(exit.span);
    if (used === undefined) this.#used.set(exit.span, new Set([entry.service]));
    else used.add(entry.service);
    return { exit: exit.span, entry, exact: exact !== undefined };
  }

  // Delivered twice, or to several groups: each delivery is a half of its own, however often it was used.
  #byOwnKey(entry: End): End | undefined {
    if (entry.key === undefined) return undefined;
    const ends = this.#byKey.get(entry.key) ?? [];
    return ends.findLast((end) => end.span.startNs <= this.#latest(entry)) ?? ends[0];
  }

  #byAttribute(entry: End): End | undefined {
    for (const [name, value] of entry.joins) {
      const ends = this.#byJoin.get(JSON.stringify([name, value])) ?? [];
      const found = this.#choose(ends, entry, 0n, (end) => this.#isOpen(end));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #byTime(entry: End): End | undefined {
    const earliest = entry.span.startNs - messageWindowNs;
    const fits = (end: End): boolean =>
      end.span.service !== entry.span.service && !differ(end.joins, entry.joins);
    // One topic, several groups: what others took up may still be lost on the way to this one.
    const alsoLost = (end: End): boolean => end.address.messaging && !this.#world.reads(entry.span);
    for (const isCandidate of [(end: End) => this.#isOpen(end), alsoLost]) {
      for (const place of placesOf(entry.address)) {
        const ends = this.#byPlace.get(place) ?? [];
        const found = this.#choose(ends, entry, earliest, (end) => isCandidate(end) && fits(end));
        if (found !== undefined) return found;
      }
    }
    return undefined;
  }

  // Messages: first in, first out. Calls: the one that began last and still runs.
  #choose(
    ends: readonly End[],
    entry: End,
    earliestNs: bigint,
    isCandidate: (end: End) => boolean,
  ): End | undefined {
    const fits = (end: End): boolean =>
      isCandidate(end) &&
      !clash(end.key, entry.key) &&
      meets(end.address, entry.address) &&
      this.#used.get(end.span)?.has(entry.span.service) !== true;
    const behind = firstAfter(ends, this.#latest(entry));
    for (let index = firstAfter(ends, earliestNs - 1n); index < behind; index += 1) {
      const end = ends[index];
      if (end?.address.messaging && fits(end)) return end;
    }
    const isCall = (end: End): boolean =>
      !end.address.messaging && end.span.endNs >= entry.span.startNs - this.#toleranceNs;
    const middle = firstAfter(ends, entry.span.startNs);
    for (let index = middle - 1; index >= 0; index -= 1) {
      const end = ends[index];
      if (end !== undefined && isCall(end) && fits(end)) return end;
    }
    return ends.slice(middle, behind).find((end) => isCall(end) && fits(end));
  }

  #latest(entry: End): bigint {
    return entry.span.startNs + this.#toleranceNs;
  }

  #isOpen(end: End): boolean {
    return this.#world.answersTo(end.span).size === 0;
  }

  #endOf(span: TestSpan, around: () => Iterable<TestSpan>): End {
    const address = this.#world.addressOf(span);
    const joins = new Map<string, string>();
    if (this.#joinBy.length > 0) this.#collect(joins, span, around());
    return { span, address, key: ownKeyOf(span, address), joins };
  }

  // The adapters' own spans seldom carry what an application knows; the spans around them do.
  #collect(joins: Map<string, string>, span: TestSpan, around: Iterable<TestSpan>): void {
    const spans = [span, ...around];
    for (const name of this.#joinBy) {
      for (const candidate of spans) {
        const value = read(candidate, name);
        if (value === undefined) continue;
        joins.set(name, value);
        break;
      }
    }
  }
}

function* above(span: TestSpan, trace: Trace): Generator<TestSpan> {
  const seen = new Set<string>();
  let parent = trace.byId.get(span.parentSpanId ?? "");
  while (parent !== undefined && !seen.has(parent.spanId)) {
    yield parent;
    seen.add(parent.spanId);
    parent = trace.byId.get(parent.parentSpanId ?? "");
  }
}

function placesOf({ system, destination, route, host }: Address): string[] {
  if (system !== "http") return destination === "" ? [] : [`to ${destination}`];
  const places: string[] = [];
  if (route !== undefined) places.push(`route ${route}`);
  if (host !== undefined) places.push(`host ${host}`);
  return places;
}

// Keys of one sort that differ prove that two spans are not one hop; keys of two sorts prove nothing.
function clash(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || b === undefined || a === b) return false;
  return a.slice(0, a.indexOf(",")) === b.slice(0, b.indexOf(","));
}

function differ(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return [...a].some(([name, value]) => b.has(name) && b.get(name) !== value);
}

function put(map: Map<string, End[]>, key: string, end: End): void {
  const ends = map.get(key);
  if (ends === undefined) map.set(key, [end]);
  else ends.push(end);
}

/** The index of the first that starts after the time. */
function firstAfter(ends: readonly End[], timeNs: bigint): number {
  let low = 0;
  let high = ends.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const end = ends[middle];
    if (end !== undefined && end.span.startNs <= timeNs) low = middle + 1;
    else high = middle;
  }
  return low;
}
