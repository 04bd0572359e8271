/** ASCII characters, looked up by code. Headers are scanned with these: a regular expression costs three times as much. */
export type CharacterSet = Uint8Array;

/** @param character - matches each character of the set, so that a grammar is stated as its specification does. */
export function characterSet(character: RegExp): CharacterSet {
  return Uint8Array.from({ length: 128 }, (_, code) =>
    character.test(String.fromCharCode(code)) ? 1 : 0,
  );
}

/** Whether every character of `text` between two places is in the set. */
export function isMadeOf(set: CharacterSet, text: string, from = 0, to = text.length): boolean {
  for (let i = from; i < to; i++) {
    if (set[text.charCodeAt(i)] !== 1) return false;
  }
  return true;
}

/** SP and HTAB: optional white space, RFC 9110 section 5.6.3. Not `trim()`, which also eats newlines and NBSP. */
export function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}

/** The part of `text` between two places, without the blanks and tabs around it. */
export function trimBlanks(text: string, start = 0, end = text.length): string {
  let from = start;
  let to = end;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}
