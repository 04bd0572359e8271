import type { TraceState } from "@opentelemetry/api";
import { isBlank } from "./traceparent.js";

// W3C Trace Context Level 2, "tracestate Limits": at least 512 characters are to be passed on.
const MAX_LENGTH = 512;
const MAX_MEMBERS = 32;
// Section "tracestate Limits": entries longer than this are the first to go.
const LONG_MEMBER = 128;

const KEY = /^[a-z0-9][a-z0-9_\-*/@]{0,255}$/;
const VALUE = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;

/** One member as it stands on the wire, `key=value`, with its key at hand. */
interface Member {
  readonly key: string;
  readonly text: string;
}

/**
 * A `tracestate` by W3C Trace Context Level 2: immutable, most recent member first.
 * `set` and `unset` give a new object, or this one when the key or the value is not valid.
 */
export class StrictTraceState implements TraceState {
  readonly #members: readonly Member[];
  #text: string | undefined;

  private constructor(members: readonly Member[]) {
    this.#members = members;
  }

  /**
   * Reads one combined field. Gives `undefined` when there is nothing in it, and `"invalid"` when the
   * grammar is broken anywhere: then all of it is discarded (the specification leaves the choice).
   */
  static parse(text: string): StrictTraceState | "invalid" | undefined {
    const members: Member[] = [];
    let count = 0;
    for (let from = 0; from <= text.length; ) {
      let to = text.indexOf(",", from);
      if (to < 0) to = text.length;
      const member = trimBlanks(text, from, to);
      from = to + 1;
      if (member === "") continue; // empty members are legal
      if (++count > MAX_MEMBERS) return "invalid";
      const equals = member.indexOf("=");
      const key = member.slice(0, equals);
      if (equals < 1 || !KEY.test(key) || !VALUE.test(member.slice(equals + 1))) return "invalid";
      // The left-most is the most recent; a repetition behind it is old.
      if (!members.some((earlier) => earlier.key === key)) members.push({ key, text: member });
    }
    return members.length === 0 ? undefined : new StrictTraceState(members);
  }

  get(key: string): string | undefined {
    return this.#members.find((member) => member.key === key)?.text.slice(key.length + 1);
  }

  set(key: string, value: string): StrictTraceState {
    if (!KEY.test(key) || !VALUE.test(value)) return this;
    const others = this.#members.filter((member) => member.key !== key);
    // The new member is never the one that is lost: samplers write theirs this way.
    return new StrictTraceState(
      [{ key, text: `${key}=${value}` }, ...others].slice(0, MAX_MEMBERS),
    );
  }

  unset(key: string): StrictTraceState {
    const others = this.#members.filter((member) => member.key !== key);
    return others.length === this.#members.length ? this : new StrictTraceState(others);
  }

  /** One field, members parted by a comma without blanks, at most 512 characters; empty when there are none. */
  serialize(): string {
    this.#text ??= fit(
      this.#members.map((member) => member.text),
      MAX_LENGTH,
    ).join(",");
    return this.#text;
  }
}

/**
 * Drops whole members until the rest, joined, is at most `max` characters: first those over 128, then
 * any, from the right. W3C Trace Context Level 2, "tracestate Limits"; no other strategy is allowed.
 */
function fit(members: readonly string[], max: number): string[] {
  const kept = [...members];
  let length = kept.reduce((sum, member) => sum + member.length + 1, -1);
  const drop = (i: number): void => {
    length -= (kept[i]?.length ?? 0) + 1;
    kept.splice(i, 1);
  };
  for (let i = kept.length - 1; i >= 0 && length > max; i--) {
    if ((kept[i]?.length ?? 0) > LONG_MEMBER) drop(i);
  }
  while (length > max && kept.length > 0) drop(kept.length - 1);
  return kept;
}

/** What anybody's TraceState may be sent as: our own as it is, another's only where it keeps the grammar. */
export function serializeTraceState(state: TraceState): string {
  if (state instanceof StrictTraceState) return state.serialize();
  const text: unknown = state.serialize();
  if (typeof text !== "string") return "";
  const parsed = StrictTraceState.parse(text);
  return parsed instanceof StrictTraceState ? parsed.serialize() : "";
}

/** The part of `text` between two places, without the blanks and tabs around it. */
export function trimBlanks(text: string, start: number, end: number): string {
  let from = start;
  let to = end;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}
