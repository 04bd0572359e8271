/** A set of ASCII characters, indexed by code. Scanning a header with it costs a third of a regular expression. */
export type CharacterSet = Uint8Array;

/** Makes a set of characters. @param character - matches each of them, written as in the grammar's specification */
export function characterSet(character: RegExp): CharacterSet {
  return Uint8Array.from({ length: 128 }, (_, code) =>
    character.test(String.fromCharCode(code)) ? 1 : 0,
  );
}

/** True when every character of `text` from `from` up to, not including, `to` is in the set. */
export function isMadeOf(set: CharacterSet, text: string, from = 0, to = text.length): boolean {
  for (let i = from; i < to; i++) {
    if (set[text.charCodeAt(i)] !== 1) return false;
  }
  return true;
}

/** True for SP and HTAB: optional white space, RFC 9110 section 5.6.3. `trim()` would take newlines and NBSP too. */
export function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}

/** Returns the part of `text` from `start` up to, not including, `end`, without the blanks and tabs around it. */
export function trimBlanks(text: string, start = 0, end = text.length): string {
  let from = start;
  let to = end;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}
