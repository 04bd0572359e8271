import { type Baggage, baggageEntryMetadataFromString, propagation } from "@opentelemetry/api";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { SLOW_TEST } from "../fixtures.test-support.js";
import { parseBaggage, StrictBaggage, serializeBaggage } from "./baggage.js";
import { expectValidFields } from "./grammar.test-support.js";

/** Names and values, in their order. */
function parsedEntries(text: string): [string, string][] {
  return (
    parseBaggage(text)
      ?.getAllEntries()
      .map(([name, { value }]) => [name, value]) ?? []
  );
}

function roundTrip(text: string): string | undefined {
  const baggage = parseBaggage(text);
  return baggage && serialize(baggage);
}

function serialize(baggage: Baggage): string {
  return serializeBaggage(baggage, () => {});
}

/** Baggage as an application makes it. */
function applicationBaggage(name: string, value: string, metadata?: string): Baggage {
  const entry = {
    value,
    ...(metadata !== undefined && { metadata: baggageEntryMetadataFromString(metadata) }),
  };
  return propagation.createBaggage().setEntry(name, entry);
}

const members = (count: number, value = "v") =>
  Array.from({ length: count }, (_, i) => `k${i}=${value}`);

describe("a baggage is read", () => {
  test.each<[string, string, [string, string][], string]>([
    [
      "and sent on as it came",
      "a=1,b=2;p;q=3",
      [
        ["a", "1"],
        ["b", "2"],
      ],
      "a=1,b=2;p;q=3",
    ],
    [
      "without blanks and tabs around its parts",
      " a\t= 1 ; p = 2 ;\tq\t, b =2\t",
      [
        ["a", "1"],
        ["b", "2"],
      ],
      "a=1;p=2;q,b=2",
    ],
    [
      "without its empty members",
      ",a=1,, ,b=2,",
      [
        ["a", "1"],
        ["b", "2"],
      ],
      "a=1,b=2",
    ],
    ["with an empty value", "a=", [["a", ""]], "a="],
    ["with more = in a value, which belong to it", "a=b==", [["a", "b=="]], "a=b=="],
    [
      "with a name as it is, upper case and percent sign",
      "A%20b=1,a%20b=2",
      [
        ["A%20b", "1"],
        ["a%20b", "2"],
      ],
      "A%20b=1,a%20b=2",
    ],
    [
      "with all characters that a name may have",
      "!#$%&'*+-.^_`|~09azAZ=1",
      [["!#$%&'*+-.^_`|~09azAZ", "1"]],
      "!#$%&'*+-.^_`|~09azAZ=1",
    ],
    [
      "with percent-encoded text",
      "a=%20caf%C3%A9%f0%9F%9A%80",
      [["a", " café🚀"]],
      "a=%20caf%C3%A9%F0%9F%9A%80",
    ],
    ["with needless percent-encoding", "a=%61%2D", [["a", "a-"]], "a=a-"],
    ["with bytes that are no UTF-8", "a=%E4", [["a", "\ufffd"]], "a=%EF%BF%BD"],
    [
      "with a byte order mark, which belongs to the value",
      "a=%EF%BB%BFx",
      [["a", "\ufeffx"]],
      "a=%EF%BB%BFx",
    ],
    [
      "with a percent sign that encodes nothing",
      "a=%zz,b=%,c=5%2",
      [
        ["a", "%zz"],
        ["b", "%"],
        ["c", "5%2"],
      ],
      "a=%25zz,b=%25,c=5%252",
    ],
    ["with an encoded percent sign, once", "a=%2561", [["a", "%61"]], "a=%2561"],
    ["with a plus, which is a plus", "a=1+1", [["a", "1+1"]], "a=1%2B1"],
    ["with an encoded comma and semicolon", "a=%2C%3B%22%5C", [["a", ',;"\\']], "a=%2C%3B%22%5C"],
    ["with encoded control characters", "a=%00%0D%0A", [["a", "\0\r\n"]], "a=%00%0D%0A"],
    ["with letters beyond ASCII that nobody encoded", "a=café", [["a", "café"]], "a=caf%C3%A9"],
    [
      "with blanks and quotes within a value that nobody encoded",
      'a=b "c"',
      [["a", 'b "c"']],
      "a=b%20%22c%22",
    ],
    [
      "with the last value of a repeated name, at its place",
      "a=1,b=2,a=3",
      [
        ["b", "2"],
        ["a", "3"],
      ],
      "b=2,a=3",
    ],
    [
      "with names that differ in case apart",
      "a=1,A=2",
      [
        ["a", "1"],
        ["A", "2"],
      ],
      "a=1,A=2",
    ],
    [
      "with the name __proto__",
      "__proto__=1,constructor=2",
      [
        ["__proto__", "1"],
        ["constructor", "2"],
      ],
      "__proto__=1,constructor=2",
    ],
    [
      "without a member that has no =",
      "a=1,bcd,c=3",
      [
        ["a", "1"],
        ["c", "3"],
      ],
      "a=1,c=3",
    ],
    [
      "without a member whose = is in a property",
      "a=1,b;p=2,c=3",
      [
        ["a", "1"],
        ["c", "3"],
      ],
      "a=1,c=3",
    ],
    [
      "without a member that has no name",
      "a=1,=2,c=3",
      [
        ["a", "1"],
        ["c", "3"],
      ],
      "a=1,c=3",
    ],
    [
      "without a member whose name has a blank in it",
      "a=1,user id=2,c=3",
      [
        ["a", "1"],
        ["c", "3"],
      ],
      "a=1,c=3",
    ],
    [
      "without a member whose name is beyond ASCII",
      "a=1,é=2,c=3",
      [
        ["a", "1"],
        ["c", "3"],
      ],
      "a=1,c=3",
    ],
    [
      "without a member whose name is in quotes",
      'a=1,"b"=2,c=3',
      [
        ["a", "1"],
        ["c", "3"],
      ],
      "a=1,c=3",
    ],
  ])("%s", (_, text, entries, out) => {
    expect({ entries: parsedEntries(text), out: roundTrip(text) }).toEqual({ entries, out });
  });

  test.each<[string, string, string | undefined, string]>([
    ["in their order", "a=1;b;a=2", "b;a=2", "a=1;b;a=2"],
    ["percent-encoded, as they are", "a=1;p=%20x", "p=%20x", "a=1;p=%20x"],
    ["without blanks around them", "a=1; p = 2 ; q ", "p=2;q", "a=1;p=2;q"],
    ["with more = in their value", "a=1;p=2=3", "p=2=3", "a=1;p=2=3"],
    ["with an empty value", "a=1;p=", "p=", "a=1;p="],
    ["not where there is only their semicolon", "a=1;", undefined, "a=1"],
    ["without empty ones", "a=1;;p;", "p", "a=1;p"],
    ["without those that have no name", "a=1;=2;p", "p", "a=1;p"],
    ["without those whose name is no token", "a=1;x\r\ny;p", "p", "a=1;p"],
    [
      "with what is beyond ASCII in a value encoded",
      "a=1;p=caf\u00e9\u20ac",
      "p=caf%C3%A9%E2%82%AC",
      "a=1;p=caf%C3%A9%E2%82%AC",
    ],
    ["with a newline in a value encoded", "a=1;p=x\r\ny", "p=x%0D%0Ay", "a=1;p=x%0D%0Ay"],
    ["not at all when none is left", "a=1;\u20ac", undefined, "a=1"],
  ])("with its properties %s", (_, text, properties, out) => {
    const entry = parseBaggage(text)?.getEntry("a");
    expect({
      value: entry?.value,
      properties: entry?.metadata?.toString(),
      out: roundTrip(text),
    }).toEqual({ value: "1", properties, out });
  });

  test.each([
    ["empty", ""],
    ["blank", " \t"],
    ["only commas", ",,,"],
    ["no baggage at all", ",;==%zz,=,;a"],
    ["a single name", "a"],
  ])("as if absent when it is %s", (_, text) => {
    expect(parseBaggage(text)).toBeUndefined();
  });

  test("with a value that is longer or shorter when encoded, and is never sent unencoded", () => {
    // Two blanks are dropped, two characters added: the length is the same, the text is not.
    expect(roundTrip('a=1  ;p=",b=2')).toBe("a=1;p=%22,b=2");
  });
});

describe("a large baggage", () => {
  test("keeps all up to 64 members", () => {
    expect(roundTrip(members(64).join(","))).toBe(members(64).join(","));
  });

  test("loses its 65th member", () => {
    expect(roundTrip(members(65).join(","))).toBe(members(64).join(","));
  });

  test("does not count malformed and repeated members", () => {
    expect(roundTrip(["x", "k0=first", ...members(64), "y"].join(","))).toBe(members(64).join(","));
  });

  test("keeps one member of 8192 bytes, and not one of 8193", () => {
    const whole = `a=${"x".repeat(8190)}`;
    expect(roundTrip(whole) === whole).toBe(true);
    expect(roundTrip(`${whole}x`)).toBeUndefined();
  });

  test("keeps all up to 8192 bytes", () => {
    const text = [...members(63, "x".repeat(100)), "last="].join(",");
    const full = text.padEnd(8192, "x");
    expect(full).toHaveLength(8192);
    expect(roundTrip(full)).toBe(full);
  });

  test("loses whole members from the right beyond 8192 bytes", () => {
    const all = members(20, "x".repeat(500));
    const kept = all.slice(0, Math.floor(8193 / (all.join(",").length / 20)));
    expect(roundTrip(all.join(","))?.split(",").length).toBe(kept.length);
    expect(all.join(",").startsWith(`${roundTrip(all.join(","))},`)).toBe(true);
  });

  test("of an application has the same limits", () => {
    let many = propagation.createBaggage();
    for (let i = 0; i < 100; i++) many = many.setEntry(`k${i}`, { value: "v" });
    expect(serialize(many)).toBe(members(64).join(","));
    expect(serialize(many.setEntry("k1", { value: "é".repeat(3000) }))).toBe("k0=v");
  });

  test("is parsed only up to the limit: a hundred times as many malformed members cost no more", () => {
    // Each member is cut out of the text, so that the cuts tell how many were read.
    const cuts = (members: number) => {
      const text = ";,".repeat(members);
      using slice = vi.spyOn(String.prototype, "slice");
      parseBaggage(text);
      return slice.mock.contexts.filter((from) => String(from) === text).length;
    };
    expect([1000, 10_000, 100_000].map(cuts)).toEqual([1001, 4096, 4096]);
  });
});

describe("an application's baggage is sent", () => {
  test.each([
    [
      "with text encoded as UTF-8",
      applicationBaggage("a", "café 🚀"),
      "a=caf%C3%A9%20%F0%9F%9A%80",
    ],
    ["with a blank as %20 and a plus as %2B", applicationBaggage("a", "1 + 1"), "a=1%20%2B%201"],
    ["with a percent sign encoded", applicationBaggage("a", "100%"), "a=100%25"],
    ["with separators encoded", applicationBaggage("a", '",;\\='), "a=%22%2C%3B%5C="],
    ["with half an emoji replaced", applicationBaggage("a", "x\ud83d"), "a=x%EF%BF%BD"],
    [
      "with control characters encoded",
      applicationBaggage("a", "\r\nx-injected: 1"),
      "a=%0D%0Ax-injected:%201",
    ],
    ["with its properties", applicationBaggage("a", "1", "p;q=2"), "a=1;p;q=2"],
    [
      "with its properties sanitized",
      applicationBaggage("a", "1", "p = x y ; \r\n ; q=\u20ac"),
      "a=1;p=x%20y;q=%E2%82%AC",
    ],
    [
      "with a comma in a property encoded",
      applicationBaggage("a", "1", "p=1,b=2"),
      "a=1;p=1%2Cb=2",
    ],
    ["with the name __proto__", applicationBaggage("__proto__", "1"), "__proto__=1"],
  ])("%s", (_, baggage, out) => {
    expect(serialize(baggage)).toBe(out);
    expectValidFields({ baggage: out });
  });

  test("without the entries whose names are no tokens, which are reported", () => {
    const invalidKeys: unknown[] = [];
    const baggage = applicationBaggage("user id", "1")
      .setEntry("b", { value: "2" })
      .setEntry("", { value: "3" })
      .setEntry("é", { value: "4" });
    expect(serializeBaggage(baggage, (name) => invalidKeys.push(name))).toBe("b=2");
    expect(invalidKeys).toEqual(["user id", "", "é"]);
  });
});

describe("baggage that was read", () => {
  const before = parseBaggage("a=1;p,b=2") ?? new StrictBaggage(new Map());

  test("is changed in a copy, and the copy is what is sent", () => {
    const changed = before.setEntry("c", { value: "3 4" }).removeEntry("a");
    expect([serialize(before), serialize(changed)]).toEqual(["a=1;p,b=2", "b=2,c=3%204"]);
    expect(serialize(before.removeEntries("a", "b", "nothing"))).toBe("");
    expect(serialize(before.clear())).toBe("");
  });

  test("cannot be changed through an entry", () => {
    const entry = before.getEntry("a");
    if (entry) entry.value = "changed";
    for (const [, one] of before.getAllEntries()) one.value = "changed";
    expect(before.getEntry("a")?.value).toBe("1");
  });

  test("has no entry that was not sent", () => {
    expect(before.getEntry("toString")).toBeUndefined();
  });
});

test("any names and values arrive as they were sent", SLOW_TEST, () => {
  const token = fc.string({
    unit: fc.constantFrom(..."!#$%&'*+-.^_`|~0aZ"),
    minLength: 1,
    maxLength: 8,
  });
  const value = fc.string({ unit: "binary", maxLength: 12 });
  const octets = fc.string({ unit: fc.constantFrom(..."!#%+-:=~aZ09"), maxLength: 4 });
  const property = fc
    .tuple(token, fc.option(octets))
    .map(([key, text]) => (text === null ? key : `${key}=${text}`));
  const properties = fc.array(property, { maxLength: 3 }).map((all) => all.join(";"));
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.tuple(token, value, properties), {
        maxLength: 20,
        selector: ([key]) => key,
      }),
      (entries) => {
        let baggage = propagation.createBaggage();
        for (const [key, text, metadata] of entries) {
          baggage = baggage.setEntry(key, {
            value: text,
            metadata: baggageEntryMetadataFromString(metadata),
          });
        }
        const field = serialize(baggage);
        if (entries.length > 0) expectValidFields({ baggage: field });
        const arrived = parseBaggage(field)?.getAllEntries() ?? [];
        expect(
          arrived.map(([key, entry]) => [key, entry.value, entry.metadata?.toString() ?? ""]),
        ).toEqual(entries);
        expect(roundTrip(field) ?? "").toBe(field);
      },
    ),
  );
});
