import { createTraceState, type TraceState } from "@opentelemetry/api";
import { TraceState as StockTraceState } from "@opentelemetry/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SLOW_TEST } from "../fixtures.test-support.js";
import { StrictTraceState, serializeTraceState } from "./tracestate.js";

/** The field that is sent on for an incoming one; `"invalid"` where all of it is discarded. */
function roundTrip(text: string): string | undefined {
  const state = StrictTraceState.parse(text);
  return state instanceof StrictTraceState ? state.serialize() : state;
}

function stateOf(text: string): StrictTraceState {
  const state = StrictTraceState.parse(text);
  if (!(state instanceof StrictTraceState)) throw new Error(`not readable: ${text}`);
  return state;
}

const members = (count: number, value = "x") =>
  Array.from({ length: count }, (_, i) => `k${i}=${value}`);
const KEY_256 = "k".repeat(256);
const VALUE_256 = "v".repeat(256);

describe("a tracestate is read", () => {
  test.each([
    [
      "and sent on as it came",
      "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
      "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
    ],
    ["without the blanks and tabs around its members", " a=1 \t, \tb=2\t", "a=1,b=2"],
    ["without its empty members", ",a=1,,b=2, ,\t,", "a=1,b=2"],
    ["with a key that begins with a digit", "1a=1", "1a=1"],
    ["with all characters that a key may have", "a_-*/09=1", "a_-*/09=1"],
    ["with a key of a tenant and a system", "tenant@system=1", "tenant@system=1"],
    ["with @ at the end of a key", "1t@=1", "1t@=1"],
    ["with two @ side by side in a key", "t@@v=1", "t@@v=1"],
    ["with several @ in a key", "a@b@c=1", "a@b@c=1"],
    ["with a key of 256 characters", `${KEY_256}=1`, `${KEY_256}=1`],
    ["with 255 characters before an @", `${"k".repeat(255)}@=1`, `${"k".repeat(255)}@=1`],
    ["with 240 characters behind an @", `a@${"k".repeat(240)}=1`, `a@${"k".repeat(240)}=1`],
    ["with a value of 256 characters", `a=${VALUE_256}`, `a=${VALUE_256}`],
    ["with blanks within a value", "a=x  y", "a=x  y"],
    ["with blanks before a value, which belong to it", "a=  1", "a=  1"],
    [
      "with all characters that a value may have",
      "a=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~",
      "a=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~",
    ],
    ["with 32 members, in their order", members(32).join(","), members(32).join(",")],
    ["with only the left-most of a repeated key", "a=1,b=2,a=3", "a=1,b=2"],
    ["with a repeated key of the same value once", "a=1,a=1", "a=1"],
  ])("%s", (_, text, expected) => {
    expect(roundTrip(text)).toBe(expected);
  });

  test.each([
    ["empty", ""],
    ["blank", "  \t "],
    ["only commas", ",,, ,"],
  ])("as if absent when it is %s", (_, text) => {
    expect(roundTrip(text)).toBeUndefined();
  });
});

describe("a tracestate is discarded, all of it,", () => {
  test.each([
    ["for a member without =", "a=1,b"],
    ["for an empty value", "a=1,b="],
    ["for a blank value", "a=1,b= "],
    ["for a second = in a value", "a=1,b=c=d"],
    ["for an empty key", "a=1,=2"],
    ["for an upper-case key", "a=1,Foo=2"],
    ["for a key with a dot", "a=1,f.oo=2"],
    ["for a key that begins with @", "a=1,@foo=2"],
    ["for a key that begins with _", "a=1,_foo=2"],
    ["for a blank before =", "a=1,foo =2"],
    ["for a tab before =", "a=1,foo\t=2"],
    ["for a blank within a key", "a=1,f oo=2"],
    ["for a key of 257 characters", `a=1,${KEY_256}k=2`],
    ["for a value of 257 characters", `a=1,b=${VALUE_256}v`],
    ["for a newline at its end", "a=1\n"],
    ["for a newline within a value", "a=1\n2"],
    ["for a tab within a value", "a=1\t2"],
    ["for a no-break space at its end", "a=1\u00a0"],
    ["for a letter beyond ASCII", "a=café"],
    ["for a letter beyond ASCII in a key", "é=1"],
    ["for a delete character", "a=\u007f"],
    ["for 33 members", members(33).join(",")],
    ["for 33 members of which two are alike", [...members(32), "k0=x"].join(",")],
  ])("%s", (_, text) => {
    expect(roundTrip(text)).toBe("invalid");
  });

  test("for any character that neither a key nor a value may have", () => {
    for (let code = 0; code < 256; code++) {
      const char = String.fromCharCode(code);
      expect(roundTrip(`k${char}k=v`) === "invalid", `key with code ${code}`).toBe(
        !/[a-z0-9_\-*/@,=]/.test(char) || char === "," || char === "=",
      );
      expect(roundTrip(`k=v${char}v`) === "invalid", `value with code ${code}`).toBe(
        !/[\x20-\x7e]/.test(char) || char === "," || char === "=",
      );
    }
  });
});

describe("a tracestate that is too long is trimmed", () => {
  const short = (name: string, length: number) => `${name}=`.padEnd(length, "x");

  test("not at 512 characters", () => {
    const text = [short("a", 255), short("b", 256)].join(",");
    expect(text).toHaveLength(512);
    expect(roundTrip(text)).toBe(text);
  });

  test("by its member of more than 128 characters first, wherever it stands", () => {
    const others = members(30, "x".repeat(10));
    const text = [short("long", 200), ...others].join(",");
    expect(text.length).toBeGreaterThan(512);
    expect(roundTrip(text)).toBe(others.join(","));
  });

  test("by long members from the right, and no more of them than needed", () => {
    const [a, b, c, d] = [short("a", 200), short("b", 200), short("c", 129), short("d", 128)];
    expect(roundTrip([a, b, c, d].join(","))).toBe([a, d].join(","));
  });

  test("from its right end when no member is long", () => {
    const all = members(10, "x".repeat(100));
    expect(roundTrip(all.join(","))).toBe(all.slice(0, 4).join(","));
  });

  test("by whole members only", SLOW_TEST, () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 5, max: 258 }), { minLength: 1, maxLength: 32 }),
        (lengths) => {
          const all = lengths.map((length, i) => short(`k${i}`, length));
          const out = roundTrip(all.join(",")) ?? "";
          expect(out.length).toBeLessThanOrEqual(512);
          const kept = out === "" ? [] : out.split(",");
          expect(all.filter((member) => kept.includes(member))).toEqual(kept);
          if (all.join(",").length <= 512) expect(kept).toEqual(all);
          // A short member may be dropped only after all the long ones.
          const lost = all.filter((member) => !kept.includes(member) && member.length <= 128);
          if (lost.length > 0)
            expect(
              kept.every((member) => member.length <= 128),
              out,
            ).toBe(true);
        },
      ),
    );
  });
});

describe("a tracestate is changed", () => {
  test("by a new member at the left", () => {
    expect(stateOf("a=1,b=2").set("c", "3").serialize()).toBe("c=3,a=1,b=2");
  });

  test("by a new value, which moves its member to the left", () => {
    expect(stateOf("a=1,b=2,c=3").set("b", "9").serialize()).toBe("b=9,a=1,c=3");
  });

  test("by taking a member out", () => {
    expect(stateOf("a=1,b=2,c=3").unset("b").serialize()).toBe("a=1,c=3");
  });

  test("to nothing, and then there is nothing to send", () => {
    expect(stateOf("a=1").unset("a").serialize()).toBe("");
  });

  test("in a new object: the old one stays as it was", () => {
    const before = stateOf("a=1");
    const after = before.set("b", "2").unset("a");
    expect([before.serialize(), after.serialize()]).toEqual(["a=1", "b=2"]);
  });

  test("with 32 members, of which the right-most is dropped for the new one", () => {
    const full = stateOf(members(32).join(","));
    expect(full.set("ot", "th:8").serialize()).toBe(["ot=th:8", ...members(31)].join(","));
  });

  test("with 32 members, of which one gets a new value and none is dropped", () => {
    const full = stateOf(members(32).join(","));
    expect(full.set("k31", "new").serialize()).toBe(["k31=new", ...members(31)].join(","));
  });

  test("near 512 characters, and the new member stays, a long one too", () => {
    const nearly = stateOf(members(30, "x".repeat(12)).join(","));
    for (const value of ["th:8;rv:abcdef01234567", "x".repeat(200)]) {
      const out = nearly.set("ot", value).serialize();
      expect(out.startsWith(`ot=${value},k0=`), out).toBe(true);
      expect(out.length).toBeLessThanOrEqual(512);
    }
  });

  test.each([
    ["an upper-case key", "Foo", "1"],
    ["an empty key", "", "1"],
    ["a key with =", "a=b", "1"],
    ["an empty value", "a", ""],
    ["a value with a comma", "a", "1,b=2"],
    ["a value with = in it", "a", "b=c"],
    ["a value that ends with a blank", "a", "1 "],
    ["a value with a newline", "a", "1\n"],
    ["a member that would be longer than all may be", KEY_256, VALUE_256],
  ])("not at all by %s", (_, key, value) => {
    const state = stateOf("a=1");
    expect(state.set(key, value)).toBe(state);
  });

  test("not at all by taking out what is not there", () => {
    const state = stateOf("a=1");
    expect(state.unset("b")).toBe(state);
  });
});

test("a member is found by its key, with the blanks that belong to its value", () => {
  const state = stateOf("a=1 ,b=  2,tenant@system=3");
  expect(["a", "b", "tenant@system", "c"].map((key) => state.get(key))).toEqual([
    "1",
    "  2",
    "3",
    undefined,
  ]);
});

describe("a foreign TraceState is sent", () => {
  const foreign = (serialize: () => string): TraceState => {
    const state: TraceState = {
      get: () => undefined,
      set: () => state,
      unset: () => state,
      serialize,
    };
    return state;
  };

  test.each([
    ["as it is, from the SDK", new StockTraceState("a=1,b=2"), "a=1,b=2"],
    ["as it is, from the API", createTraceState("a=1,b=2"), "a=1,b=2"],
    ["without blanks", foreign(() => "a=1 , b=2"), "a=1,b=2"],
    ["up to its 32nd member", foreign(() => members(33).join(",")), members(32).join(",")],
    ["not at all when it breaks the grammar", foreign(() => "a=1\r\nx: y"), ""],
    ["not at all when it is empty", foreign(() => ""), ""],
  ])("%s", (_, state, expected) => {
    expect(serializeTraceState(state)).toBe(expected);
  });
});
