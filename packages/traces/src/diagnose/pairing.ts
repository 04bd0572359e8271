import { byStart, type Trace } from "../assemble.js";
import type { Span } from "../span.js";
import { type Address, meets, ownKeyOf, read, sendsOn } from "./address.js";
import { type End, Place } from "./place.js";
import type { World } from "./world.js";

/** The two halves of a broken hop: an exit span, and the root of another trace that it most likely led to. */
export interface Pair {
  readonly exit: Span;
  readonly entry: Span;
  /** True when a key on both spans joins them, false when only the time does. */
  readonly exact: boolean;
}

/** The options of `diagnose` that pairing needs. */
export interface PairingOptions {
  readonly joinBy: readonly string[];
  readonly toleranceMs: number;
}

/** How long a message may wait in a queue when only the time joins its two spans. */
const MESSAGE_WINDOW_NS = 5_000_000_000n;

/**
 * Pairs entry roots with open exit spans: by the hop's own key (a record's offset, a message's id), then by the
 * attributes in `joinBy`, otherwise by time. By time the hop is right, but under load often not the request.
 */
export class Pairing {
  readonly #world: World;
  readonly #joinBy: readonly string[];
  readonly #toleranceNs: bigint;
  readonly #byKey = new Map<string, End[]>();
  readonly #byJoin = new Map<string, Place>();
  readonly #byPlace = new Map<string, Place>();

  constructor(world: World, options: PairingOptions) {
    this.#world = world;
    this.#joinBy = options.joinBy;
    this.#toleranceNs = BigInt(Math.round(options.toleranceMs * 1e6));
    for (const end of this.#openExits().sort((a, b) => byStart(a.span, b.span))) {
      if (end.key !== undefined) {
        this.#byKey.set(end.key, [...(this.#byKey.get(end.key) ?? []), end]);
      }
      for (const join of end.joins) put(this.#byJoin, JSON.stringify(join), end);
      for (const place of placesOf(end.address)) put(this.#byPlace, place, end);
    }
  }

  /** The pair of an entry root; undefined when its caller is outside. Must be called in order of start. */
  pairOf(entry: Span, trace: Trace): Pair | undefined {
    const end = this.#endOf(entry, () => trace.spans);
    const exact = this.#byOwnKey(end) ?? this.#byAttribute(end);
    const exit = exact ?? this.#byTime(end);
    if (exit === undefined) return undefined;
    exit.taken.add(entry.service);
    return { exit: exit.span, entry, exact: exact !== undefined };
  }

  #openExits(): End[] {
    const exits: End[] = [];
    for (const trace of this.#world.traces) {
      for (const span of trace.spans) {
        const address = this.#world.addressOf(span);
        // A call that was answered has its callee. A message may have several.
        const open = address.messaging || this.#world.answersTo(span).size === 0;
        if (open && sendsOn(span, address)) exits.push(this.#endOf(span, () => above(span, trace)));
      }
    }
    return exits;
  }

  // A message that is delivered twice, or to several groups, has several pairs with the same exit span.
  #byOwnKey(entry: End): End | undefined {
    if (entry.key === undefined) return undefined;
    const ends = this.#byKey.get(entry.key) ?? [];
    return ends.findLast((end) => end.span.startNs <= this.#latest(entry)) ?? ends[0];
  }

  #byAttribute(entry: End): End | undefined {
    for (const join of entry.joins) {
      const place = this.#byJoin.get(JSON.stringify(join));
      const found = place && this.#choose(place, entry, 0n, (end) => this.#isOpen(end));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #byTime(entry: End): End | undefined {
    const earliest = entry.span.startNs - MESSAGE_WINDOW_NS;
    // With several consumer groups, a message that others continued may still have lost its trace on the way to this.
    const alsoLost = (end: End): boolean => end.address.messaging && !this.#world.reads(entry.span);
    for (const isCandidate of [(end: End) => this.#isOpen(end), alsoLost]) {
      for (const name of placesOf(entry.address)) {
        const place = this.#byPlace.get(name);
        const found =
          place &&
          this.#choose(
            place,
            entry,
            earliest,
            (end) =>
              isCandidate(end) &&
              end.span.service !== entry.span.service &&
              !differ(end.joins, entry.joins),
          );
        if (found !== undefined) return found;
      }
    }
    return undefined;
  }

  // Of messages the earliest is chosen (first in, first out), of calls the latest that still runs.
  #choose(
    place: Place,
    entry: End,
    earliestNs: bigint,
    isCandidate: (end: End) => boolean,
  ): End | undefined {
    const { service, startNs } = entry.span;
    const { messaging } = entry.address;
    const fits = (end: End): boolean =>
      end.address.messaging === messaging &&
      isCandidate(end) &&
      !clash(end.key, entry.key) &&
      meets(end.address, entry.address);
    const latestNs = this.#latest(entry);
    if (messaging) return first(place.startedWithin(earliestNs, latestNs, service), fits);
    return (
      first(place.runningAt(startNs, startNs - this.#toleranceNs, service), fits) ??
      first(place.startedWithin(startNs, latestNs, service), fits)
    );
  }

  #latest(entry: End): bigint {
    return entry.span.startNs + this.#toleranceNs;
  }

  #isOpen(end: End): boolean {
    return this.#world.answersTo(end.span).size === 0;
  }

  #endOf(span: Span, around: () => Iterable<Span>): End {
    const address = this.#world.addressOf(span);
    const joins = new Map<string, string>();
    if (this.#joinBy.length > 0) this.#collect(joins, span, around());
    return { span, address, key: ownKeyOf(span, address), joins, taken: new Set() };
  }

  // Attributes of the application are seldom on the spans of adapters, but on the spans around them.
  #collect(joins: Map<string, string>, span: Span, around: Iterable<Span>): void {
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

function* above(span: Span, trace: Trace): Generator<Span> {
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

// Different keys of one kind prove that two spans are not one hop; keys of two kinds prove nothing.
function clash(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || b === undefined || a === b) return false;
  return a.slice(0, a.indexOf(",")) === b.slice(0, b.indexOf(","));
}

function differ(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return [...a].some(([name, value]) => b.has(name) && b.get(name) !== value);
}

function put(places: Map<string, Place>, name: string, end: End): void {
  let place = places.get(name);
  if (place === undefined) {
    place = new Place();
    places.set(name, place);
  }
  place.add(end);
}

function first(ends: Iterable<End>, fits: (end: End) => boolean): End | undefined {
  for (const end of ends) if (fits(end)) return end;
  return undefined;
}
