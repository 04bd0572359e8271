import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SLOW_TEST, SPAN_ID, TRACE_ID } from "../fixtures.test-support.js";
import { expectValidFields } from "./grammar.test-support.js";
import { formatTraceparent, parseTraceparent } from "./traceparent.js";

const IDS = `${TRACE_ID}-${SPAN_ID}`;
const ZEROS = "0".repeat(32);

describe("a traceparent is read", () => {
  test.each([
    ["as version 00", `00-${IDS}-01`, 1],
    ["with a blank on each side", ` 00-${IDS}-01 `, 1],
    ["with many blanks and tabs around it", ` \t  00-${IDS}-01\t\t \t`, 1],
    ["with more blanks than a header may have characters", `${" ".repeat(600)}00-${IDS}-01`, 1],
    ["in a future version without more", `cc-${IDS}-01`, 1],
    ["in a future version with more behind a dash", `cc-${IDS}-01-what-the-future=will be`, 1],
    ["in a future version with an empty rest", `cc-${IDS}-01-`, 1],
    ["in version 01", `01-${IDS}-01`, 1],
    ["in version fe", `fe-${IDS}-01`, 1],
    ["up to 512 characters", `cc-${IDS}-01-${"x".repeat(512 - 56)}`, 1],
    ["with flags 00", `00-${IDS}-00`, 0],
    ["with flags 02", `00-${IDS}-02`, 2],
    ["with flags 03", `00-${IDS}-03`, 3],
    ["with reserved flags 04, which are masked", `00-${IDS}-04`, 0],
    ["with reserved flags 10, which are masked", `00-${IDS}-10`, 0],
    ["with all flags, of which two stay", `00-${IDS}-ff`, 3],
    ["with all flags of a future version", `cc-${IDS}-ff`, 3],
    ["with an all-zero end of its trace id", `00-${"1".padEnd(32, "0")}-${SPAN_ID}-01`, 1],
  ])("%s", (_, text, flags) => {
    expect(parseTraceparent(text)).toMatchObject({ spanId: SPAN_ID, flags });
  });

  test("with its ids as they are", () => {
    expect(parseTraceparent(`00-${IDS}-01`)).toEqual({
      traceId: TRACE_ID,
      spanId: SPAN_ID,
      flags: 1,
    });
  });
});

describe("a traceparent is refused", () => {
  test.each([
    ["when it is empty", "", "format"],
    ["when it is blank", " \t ", "format"],
    ["with a newline behind it", `00-${IDS}-01\n`, "format"],
    ["with a carriage return before it", `\r00-${IDS}-01`, "format"],
    ["with a vertical tab behind it", `00-${IDS}-01\v`, "format"],
    ["with a no-break space behind it", `00-${IDS}-01\u00a0`, "format"],
    ["in version 00 with a dash behind it", `00-${IDS}-01-`, "format"],
    ["in version 00 with more behind a dash", `00-${IDS}-01-extra`, "format"],
    ["in version 00 with a dot behind it", `00-${IDS}-01.`, "format"],
    ["in version 00 with a third digit of flags", `00-${IDS}-010`, "format"],
    ["in a future version with a dot behind it", `cc-${IDS}-01.x`, "format"],
    ["in a future version with a newline in its rest", `cc-${IDS}-01-a\nb`, "format"],
    ["in a future version with a letter beyond ASCII in its rest", `cc-${IDS}-01-é`, "format"],
    ["in version ff", `ff-${IDS}-01`, "version"],
    ["in version ff with more", `ff-${IDS}-01-x`, "version"],
    ["with one digit of version", `0-${IDS}-01`, "format"],
    ["with three digits of version", `000-${IDS}-01`, "format"],
    ["with four digits of version", `0000-${IDS}-01`, "format"],
    ["with a version that is no hex", `.0-${IDS}-01`, "format"],
    ["with an upper-case version", `CC-${IDS}-01`, "format"],
    ["with an upper-case trace id", `00-${TRACE_ID.toUpperCase()}-${SPAN_ID}-01`, "format"],
    ["with an upper-case parent id", `00-${TRACE_ID}-${SPAN_ID.toUpperCase()}-01`, "format"],
    ["with upper-case flags", `00-${IDS}-0A`, "format"],
    ["with an all-zero trace id", `00-${ZEROS}-${SPAN_ID}-01`, "zero_id"],
    ["with an all-zero parent id", `00-${TRACE_ID}-${ZEROS.slice(16)}-01`, "zero_id"],
    ["with a short trace id", `00-${TRACE_ID.slice(1)}-${SPAN_ID}-01`, "format"],
    ["with a long trace id", `00-${TRACE_ID}a-${SPAN_ID}-01`, "format"],
    ["with a short parent id", `00-${TRACE_ID}-${SPAN_ID.slice(1)}-01`, "format"],
    ["with a long parent id", `00-${TRACE_ID}-${SPAN_ID}a-01`, "format"],
    ["with a trace id that is no hex", `00-${TRACE_ID.replace("c", "g")}-${SPAN_ID}-01`, "format"],
    ["with a parent id that is no hex", `00-${TRACE_ID}-${SPAN_ID.replace("b", ".")}-01`, "format"],
    ["with flags that are no hex", `00-${IDS}-0x`, "format"],
    ["with one digit of flags", `00-${IDS}-1`, "format"],
    ["with underscores for dashes", `00_${TRACE_ID}_${SPAN_ID}_01`, "format"],
    ["when it was sent twice and joined", `00-${IDS}-01, 00-${IDS}-01`, "format"],
    ["when it was sent twice and joined without a blank", `00-${IDS}-01,00-${IDS}-01`, "format"],
    ["beyond 512 characters", `cc-${IDS}-01-${"x".repeat(512 - 55)}`, "too_long"],
    ["with bytes beyond ASCII that look like digits", `00-${IDS}-0\u0661`, "format"],
  ])("%s", (_, text, fault) => {
    expect(parseTraceparent(text)).toBe(fault);
  });
});

describe("a traceparent is written", () => {
  const span = { traceId: TRACE_ID, spanId: SPAN_ID, traceFlags: 1 };

  test.each([
    ["sampled", 1, 0, "01"],
    ["not sampled", 0, 0, "00"],
    ["with the random bit that is asked for", 1, 2, "03"],
    ["without the random bit of the span when that is not asked for", 3, 0, "01"],
    ["random and not sampled", 0, 2, "02"],
    ["without reserved bits", 0xfd, 0xfc, "01"],
  ])("%s", (_, traceFlags, random, flags) => {
    expect(formatTraceparent({ ...span, traceFlags }, random)).toBe(`00-${IDS}-${flags}`);
  });

  test("in lower case, whatever the tracer makes", () => {
    const upper = { ...span, traceId: TRACE_ID.toUpperCase(), spanId: SPAN_ID.toUpperCase() };
    expect(formatTraceparent(upper, 0)).toBe(`00-${IDS}-01`);
  });

  test.each([
    ["an all-zero trace id", { traceId: ZEROS }],
    ["an all-zero span id", { spanId: ZEROS.slice(16) }],
    ["a short trace id", { traceId: TRACE_ID.slice(1) }],
    ["a long span id", { spanId: `${SPAN_ID}0` }],
    ["a trace id that is no hex", { traceId: TRACE_ID.replace("c", "g") }],
    ["a span id of letters beyond ASCII", { spanId: "é".repeat(16) }],
  ])("not at all for %s", (_, wrong) => {
    expect(formatTraceparent({ ...span, ...wrong }, 0)).toBeUndefined();
  });

  test("so that it is parsed to the same again, for any ids and flags", SLOW_TEST, () => {
    const hex = (length: number) =>
      fc.string({
        unit: fc.constantFrom(..."0123456789abcdef"),
        minLength: length,
        maxLength: length,
      });
    fc.assert(
      fc.property(
        hex(32),
        hex(16),
        fc.nat(255),
        fc.nat(255),
        (traceId, spanId, traceFlags, random) => {
          const text = formatTraceparent({ traceId, spanId, traceFlags }, random);
          if (text === undefined) {
            expect([traceId, spanId]).toContainEqual(expect.stringMatching(/^0+$/));
            return;
          }
          expectValidFields({ traceparent: text });
          expect(parseTraceparent(text)).toEqual({
            traceId,
            spanId,
            flags: (traceFlags & 1) | (random & 2),
          });
        },
      ),
    );
  });
});

test("one wrong character anywhere makes a traceparent unreadable", () => {
  const right = `00-${IDS}-01`;
  for (let at = 0; at < right.length; at++) {
    // At a dash a hex digit is wrong too; elsewhere it would make another valid traceparent.
    for (const wrong of right[at] === "-" ? "0a_ .g" : "g-_.A\n\0\u00e9\u0130\ud83d") {
      const text = right.slice(0, at) + wrong + right.slice(at + 1);
      expect(parseTraceparent(text), JSON.stringify(text)).toBeTypeOf("string");
    }
  }
});
