import { expect } from "vitest";

// The grammars once more, straight from the specifications and in another form than the code under test.

/** W3C Trace Context Level 2, "traceparent Header Field Values", with only the flags that Level 2 defines. */
const TRACEPARENT = /^00-(?!0{32}-)[0-9a-f]{32}-(?!0{16}-)[0-9a-f]{16}-0[0-3]$/;

/** The same, "list-members": `key = ( lcalpha / DIGIT ) 0*255 ( keychar )`, `value = 0*255(chr) nblk-chr`. */
const TRACESTATE_KEY = "[a-z0-9][a-z0-9_\\-*/@]{0,255}";
const NBLK_CHR = "[\\x21-\\x2B\\x2D-\\x3C\\x3E-\\x7E]";
const TRACESTATE_MEMBER = new RegExp(
  `^(?<key>${TRACESTATE_KEY})=(?:\\x20|${NBLK_CHR}){0,255}${NBLK_CHR}$`,
);

/** W3C Baggage, "Definition": `token "=" *baggage-octet *( ";" token [ "=" *baggage-octet ] )`. */
const TOKEN = "[-!#$%&'*+.^_`|~0-9A-Za-z]+";
const OCTETS = "[\\x21\\x23-\\x2B\\x2D-\\x3A\\x3C-\\x5B\\x5D-\\x7E]*";
const BAGGAGE_MEMBER = new RegExp(`^(?<key>${TOKEN})=${OCTETS}(?:;${TOKEN}(?:=${OCTETS})?)*$`);

/** Fails, and prints the fields, when any of the three could not be sent. */
export function expectValidFields(fields: Readonly<Record<string, string | undefined>>): void {
  const { traceparent, tracestate, baggage } = fields;
  const wrong: string[] = [];
  if (traceparent !== undefined && !TRACEPARENT.test(traceparent)) wrong.push("traceparent");
  if (tracestate !== undefined) {
    if (traceparent === undefined) wrong.push("tracestate without traceparent");
    if (!isList(tracestate, TRACESTATE_MEMBER, 32, 512)) wrong.push("tracestate");
    const keys = tracestate.split(",").map((member) => member.split("=")[0]);
    if (new Set(keys).size < keys.length) wrong.push("tracestate with a repeated key");
  }
  if (baggage !== undefined && !isList(baggage, BAGGAGE_MEMBER, 64, 8192)) wrong.push("baggage");
  expect({ wrong, fields }).toEqual({ wrong: [], fields });
}

function isList(text: string, member: RegExp, most: number, longest: number): boolean {
  const members = text.split(",");
  const keys = members.map((one) => member.exec(one)?.groups?.key);
  return !keys.includes(undefined) && members.length <= most && Buffer.byteLength(text) <= longest;
}
