import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SLOW_TEST } from "../fixtures.test-support.js";
import { decodePercent, encodeOutside } from "./percent.js";
import { characterSet } from "./scan.js";

const LETTERS = characterSet(/[a-z]/);

describe("a character outside the set is written as its UTF-8 bytes:", () => {
  test.each([
    ["nothing of it", "abc", "abc"],
    ["a control character", "a\tb\0", "a%09b%00"],
    ["ASCII", "a B%", "a%20%42%25"],
    ["a letter", "é", "%C3%A9"],
    ["an emoji", "🚀", "%F0%9F%9A%80"],
    ["the first half of an emoji", "\ud83da", "%EF%BF%BDa"],
    ["the second half of an emoji", "\ude80", "%EF%BF%BD"],
  ])("%s", (_, text, expected) => {
    expect(encodeOutside(LETTERS, text)).toBe(expected);
  });
});

describe("percent-encoded text is decoded, with", () => {
  test.each([
    ["nothing encoded", "a+b", "a+b"],
    ["upper and lower case digits", "%c3%A9", "é"],
    ["a byte order mark", "%EF%BB%BFa", "\ufeffa"],
    ["a byte order mark and a broken byte", "%EF%BB%BFa%E4", "\ufeffa\ufffd"],
    ["a percent sign that encodes nothing", "%zz%41%", "%zzA%"],
    ["half of an encoded byte at its end", "%41%4", "A%4"],
    ["letters beyond ASCII beside a broken byte", "é%E4", "é\ufffd"],
    ["an encoded surrogate", "%ED%A0%BD", "\ufffd\ufffd\ufffd"],
    ["an encoded zero", "%00", "\0"],
    ["an overlong form", "%C0%AF", "\ufffd\ufffd"],
  ])("%s", (_, text, expected) => {
    expect(decodePercent(text)).toBe(expected);
  });
});

test("any text is decoded as it was encoded, but for lone surrogates", SLOW_TEST, () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(decodePercent(encodeOutside(LETTERS, text))).toBe(Buffer.from(text).toString());
    }),
  );
});

test("any bytes are decoded as UTF-8", SLOW_TEST, () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => {
      const all = Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
      expect(decodePercent(all)).toBe(Buffer.from(bytes).toString());
    }),
  );
});
