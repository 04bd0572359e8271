import type { TraceState } from "@opentelemetry/api";
import { characterSet, isBlank, isMadeOf, trimBlanks } from "./scan.js";

// W3C Trace Context Level 2, "tracestate Limits": at least 512 characters are to be passed on.
const MAX_LENGTH = 512;
const MAX_MEMBERS = 32;
// Section "tracestate Limits": entries longer than this are the first to go.
const LONG_MEMBER = 128;
// Of a key, and of a value.
const MAX_PART = 256;

const KEY_START = characterSet(/[a-z0-9]/);
const KEY = characterSet(/[a-z0-9_\-*/@]/);
const VALUE = characterSet(/[\x20-\x2b\x2d-\x3c\x3e-\x7e]/);

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

  private constructor(members: readonly Member[], text?: string) {
    this.#members = members;
    this.#text = text;
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
      if (!isKey(member, equals) || !isValue(member, equals + 1)) return "invalid";
      const key = member.slice(0, equals);
      // The left-most is the most recent; a repetition behind it is old.
      if (!members.some((earlier) => earlier.key === key)) members.push({ key, text: member });
    }
    if (members.length === 0) return undefined;
    // What nothing was taken from is sent on as it came.
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
    if (first.text.length > MAX_LENGTH) return this; // by one character: it could never be sent
    const others = this.#members.filter((member) => member.key !== key).slice(0, MAX_MEMBERS - 1);
    // The new member is never the one that is lost: samplers write theirs this way.
    return new StrictTraceState([
      first,
      ...trimToLength(others, MAX_LENGTH - first.text.length - 1),
    ]);
  }

  unset(key: string): StrictTraceState {
    const others = this.#members.filter((member) => member.key !== key);
    return others.length === this.#members.length ? this : new StrictTraceState(others);
  }

  /** One field, members parted by a comma without blanks, at most 512 characters; empty when there are none. */
  serialize(): string {
    this.#text ??= trimToLength(this.#members, MAX_LENGTH)
      .map((member) => member.text)
      .join(",");
    return this.#text;
  }
}

/** Whether what stands before `end` is a key: Level 2, a letter or digit first, `@` anywhere behind it. */
function isKey(text: string, end: number): boolean {
  return (
    end >= 1 && end <= MAX_PART && isMadeOf(KEY_START, text, 0, 1) && isMadeOf(KEY, text, 1, end)
  );
}

/** Whether all from `start` on is a value: printable, no `,` and no `=`, no blank at its end. */
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
 * Drops whole members until the rest, joined, is at most `maxLength` characters: first those over 128, then
 * any, from the right. W3C Trace Context Level 2, "tracestate Limits"; no other strategy is allowed.
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
 * What anybody's TraceState may be sent as: our own as it is, another's only where it keeps the grammar.
 *
 * @throws what another's throws.
 */
export function serializeTraceState(state: TraceState): string {
  if (state instanceof StrictTraceState) return state.serialize();
  // The older SDK's `set` makes 33 members out of 32; the last is the oldest.
  const text = state.serialize().split(",", MAX_MEMBERS).join(",");
  const parsed = StrictTraceState.parse(text);
  return parsed instanceof StrictTraceState ? parsed.serialize() : "";
}
