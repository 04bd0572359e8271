import type { TraceState } from "@opentelemetry/api";
import { characterSet, isBlank, isMadeOf, trimBlanks } from "./scan.js";

// W3C Trace Context Level 2, "tracestate Limits": at least 512 characters should be passed on.
const MAX_LENGTH = 512;
const MAX_MEMBERS = 32;
// Section "tracestate Limits": members longer than this are dropped first.
const LONG_MEMBER = 128;
// The most characters of a key, and of a value.
const MAX_PART = 256;

const KEY_START = characterSet(/[a-z0-9]/);
const KEY = characterSet(/[a-z0-9_\-*/@]/);
const VALUE = characterSet(/[\x20-\x2b\x2d-\x3c\x3e-\x7e]/);

/** One list member: its text `key=value`, and its key. */
interface Member {
  readonly key: string;
  readonly text: string;
}

/**
 * A `tracestate` by W3C Trace Context Level 2: immutable, the most recent member first. `set` and `unset` give a
 * new object, or this one when the key or the value is invalid.
 */
export class StrictTraceState implements TraceState {
  readonly #members: readonly Member[];
  #text: string | undefined;

  private constructor(members: readonly Member[], text?: string) {
    this.#members = members;
    this.#text = text;
  }

  /**
   * Parses one combined field. Returns `undefined` when it has no members, and `"invalid"` when any member is
   * malformed: then the whole field is discarded, which the specification allows.
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
      if (!isKey(member, equals) || !isValue(member, equals + 1)) return "invalid";
      const key = member.slice(0, equals);
      // The left-most member of a key is the most recent; a repetition behind it is older.
      if (!members.some((earlier) => earlier.key === key)) members.push({ key, text: member });
    }
    if (members.length === 0) return undefined;
    // A field from which nothing was dropped is sent on unchanged.
    const length = members.reduce((sum, member) => sum + member.text.length + 1, -1);
    const whole = length === text.length && length <= MAX_LENGTH;
    return new StrictTraceState(members, whole ? text : undefined);
  }

  get(key: string): string | undefined {
    return this.#members.find((member) => member.key === key)?.text.slice(key.length + 1);
  }

  set(key: string, value: string): StrictTraceState {
    if (typeof key !== "string" || typeof value !== "string") return this;
    if (!isKey(key, key.length) || !isValue(value, 0)) return this;
    const first = { key, text: `${key}=${value}` };
    if (first.text.length > MAX_LENGTH) return this; // 513 characters, the longest key and value: never sendable
    const others = this.#members.filter((member) => member.key !== key).slice(0, MAX_MEMBERS - 1);
    // The new member is never dropped: samplers add theirs this way.
    return new StrictTraceState([
      first,
      ...trimToLength(others, MAX_LENGTH - first.text.length - 1),
    ]);
  }

  unset(key: string): StrictTraceState {
    const others = this.#members.filter((member) => member.key !== key);
    return others.length === this.#members.length ? this : new StrictTraceState(others);
  }

  /** Returns one field of at most 512 characters, members joined by commas without blanks; empty without members. */
  serialize(): string {
    this.#text ??= trimToLength(this.#members, MAX_LENGTH)
      .map((member) => member.text)
      .join(",");
    return this.#text;
  }
}

/** True when the text before `end` is a key by Level 2: a letter or digit first, `@` anywhere behind it. */
function isKey(text: string, end: number): boolean {
  return (
    end >= 1 && end <= MAX_PART && isMadeOf(KEY_START, text, 0, 1) && isMadeOf(KEY, text, 1, end)
  );
}

/** True when the text from `start` on is a value: printable, without `,` and `=`, without a blank at its end. */
function isValue(text: string, start: number): boolean {
  const length = text.length - start;
  return (
    length >= 1 &&
    length <= MAX_PART &&
    isMadeOf(VALUE, text, start) &&
    !isBlank(text.charCodeAt(text.length - 1))
  );
}

/**
 * Drops whole members until the rest, joined, has at most `maxLength` characters: first those over 128, then
 * any, from the right, as W3C Trace Context Level 2, "tracestate Limits", prescribes.
 */
function trimToLength(members: readonly Member[], maxLength: number): readonly Member[] {
  let length = members.reduce((sum, member) => sum + member.text.length + 1, -1);
  if (length <= maxLength) return members;
  const kept = [...members];
  const drop = (i: number): void => {
    length -= (kept[i]?.text.length ?? 0) + 1;
    kept.splice(i, 1);
  };
  for (let i = kept.length - 1; i >= 0 && length > maxLength; i--) {
    if ((kept[i]?.text.length ?? 0) > LONG_MEMBER) drop(i);
  }
  while (length > maxLength && kept.length > 0) drop(kept.length - 1);
  return kept;
}

/**
 * Serializes any TraceState to a field: our own as it is, a foreign one only if it is valid; else empty.
 *
 * @throws what a foreign TraceState throws.
 */
export function serializeTraceState(state: TraceState): string {
  if (state instanceof StrictTraceState) return state.serialize();
  // SDK 2's `set` makes 33 members out of 32; the last is the oldest.
  const text = state.serialize().split(",", MAX_MEMBERS).join(",");
  const parsed = StrictTraceState.parse(text);
  return parsed instanceof StrictTraceState ? parsed.serialize() : "";
}
