import { inspect } from "node:util";
import { sender } from "@traceferry/testkit";
import { describe, expect, test } from "vitest";
import { decodeHeaders } from "../fake-kafkajs.test-support.js";
import { type KafkaHeaders, kafkaGetter, readHeader, withFields } from "./headers.js";

const OLDER = sender().traceparent;
const LATEST = sender().traceparent;
const INVALID_UTF8 = Buffer.from([0xff, 0xfe]);
const bytes = (text: string) => Buffer.from(text);
const subarrayOf = (text: string, from: number, length: number) =>
  new Uint8Array(new TextEncoder().encode(text).buffer, from, length);

describe("the sender is found", () => {
  const forms: Record<string, KafkaHeaders> = {
    "in an object of text": { traceparent: LATEST },
    "in an object of bytes": { traceparent: bytes(LATEST) },
    "in a part of a larger buffer": { traceparent: subarrayOf(`<<${LATEST}>>`, 2, LATEST.length) },
    "in an object of bytes that are no Buffer": { traceparent: new TextEncoder().encode(LATEST) },
    "in an object without prototype": Object.assign(Object.create(null), { traceparent: LATEST }),
    "in a list of objects with one key": [{ a: "1" }, { traceparent: bytes(LATEST) }],
    "in an object with several keys in a list": [{ a: "1", traceparent: LATEST }],
    "in a list of pairs": [
      ["a", "1"],
      ["traceparent", bytes(LATEST)],
    ],
    "in a list of pairs with keys of bytes": [[bytes("traceparent"), bytes(LATEST)]],
    "in a Map": new Map([["traceparent", LATEST]]),
    "in a Map with keys of bytes": new Map([[bytes("traceparent"), bytes(LATEST)]]),
    "in any letter case": { TraceParent: LATEST },
    "in any letter case of bytes": [[bytes("TRACEPARENT"), bytes(LATEST)]],
    "in quotes, as JSON converters send it": { traceparent: `"${LATEST}"` },
    "between blanks": { traceparent: ` \t${LATEST}\t ` },
    "behind an older one": { traceparent: [bytes(OLDER), bytes(LATEST)] },
    "behind an older one, in a list": [{ traceparent: OLDER }, { traceparent: LATEST }],
    "behind an older one, in a Map with keys of bytes": new Map([
      [bytes("traceparent"), bytes(OLDER)],
      [bytes("traceparent"), bytes(LATEST)],
    ]),
    "behind an older one in another letter case": { Traceparent: OLDER, traceparent: LATEST },
    "behind two older ones": { traceparent: [OLDER, OLDER, LATEST] },
    "behind an older one, joined as NestJS does it": { traceparent: `${OLDER},${LATEST}` },
    "between what is no text": { traceparent: ["", INVALID_UTF8, LATEST, bytes(""), INVALID_UTF8] },
    "before what is no traceparent": { traceparent: [LATEST, "garbage"] },
    "before a traceparent of zeros": {
      traceparent: [LATEST, `00-${"0".repeat(32)}-00f067aa0ba902b7-01`],
    },
    "before a traceparent that goes on": { traceparent: [LATEST, `${OLDER}-more`] },
    "between blanks, before what is no traceparent": {
      traceparent: [` \t${LATEST}\t `, "garbage"],
    },
    "before a parent of zeros": {
      traceparent: [LATEST, LATEST.replace(/-[0-9a-f]{16}-/, `-${"0".repeat(16)}-`)],
    },
    "before a version that is no hex": { traceparent: [LATEST, LATEST.replace("00-", "zz-")] },
    "before a trace id in capitals": {
      traceparent: [LATEST, `00-${"A".repeat(32)}-00f067aa0ba902b7-01`],
    },
    "before a parent in capitals": {
      traceparent: [LATEST, `00-4bf92f3577b34da6a3ce929d0e0e4736-${"A".repeat(16)}-01`],
    },
    "before flags in capitals": { traceparent: [LATEST, `${OLDER.slice(0, -2)}AA`] },
    "before flags that go on": { traceparent: [LATEST, `${OLDER}01`] },
    "before what has a traceparent in it": { traceparent: [LATEST, `x${OLDER}`] },
    "before version ff": { traceparent: [LATEST, LATEST.replace("00-", "ff-")] },
    "beside headers that plain objects inherit": decodeHeaders([
      ["constructor", bytes("x")],
      ["toString", bytes("x")],
      ["__proto__", bytes("x")],
      ["traceparent", bytes(LATEST)],
    ]),
    "behind a null, as kafkajs decodes it": decodeHeaders([
      ["traceparent", null],
      ["traceparent", bytes(LATEST)],
    ]),
    "before a null, as kafkajs decodes it": decodeHeaders([
      ["traceparent", bytes(LATEST)],
      ["traceparent", null],
    ]),
  };
  for (const [where, headers] of Object.entries(forms)) {
    test(where, () => {
      expect(readHeader(headers, "traceparent")?.trim()).toBe(LATEST);
    });
  }
});

describe("no sender is found", () => {
  const forms: Record<string, unknown> = {
    "in headers that are not there": undefined,
    "in null": null,
    "in text": LATEST,
    "in bytes": bytes(LATEST),
    "in a number": 7,
    "in a list of text": [LATEST],
    "in bytes that are no UTF-8": { traceparent: INVALID_UTF8 },
    "in an empty value, which is how Confluent delivers null": { traceparent: bytes("") },
    "in an object where text should be": { traceparent: { value: LATEST } },
    "under a longer key": { xtraceparent: LATEST, "traceparent ": LATEST },
    "under an inherited key": Object.create({ traceparent: LATEST }),
    "under a key that is no UTF-8": new Map([[INVALID_UTF8, LATEST]]),
    "under another key of the same length": { tracesister: LATEST },
    "under another key of a Map": new Map([["other", LATEST]]),
    "under another key in a list": [["other", LATEST]],
  };
  for (const [where, headers] of Object.entries(forms)) {
    test(where, () => {
      expect(readHeader(headers, "traceparent")).toBeUndefined();
    });
  }
});

test("of several values the last that is text wins, for tracestate and baggage too", () => {
  const headers = {
    tracestate: ["old=1", "new=2"],
    baggage: [bytes("a=1"), bytes("b=2"), INVALID_UTF8],
  };

  expect(readHeader(headers, "tracestate")).toBe("new=2");
  expect(readHeader(headers, "baggage")).toBe("b=2");
});

test("a traceparent of a future version is valid, with more fields behind the flags", () => {
  const future = `cc${LATEST.slice(2)}-more`;
  expect(readHeader({ traceparent: [OLDER, future] }, "traceparent")).toBe(future);
});

test("an invalid traceparent is read, so that the reason can be reported", () => {
  expect(readHeader({ traceparent: ["", "first", "second"] }, "traceparent")).toBe("second");
  expect(readHeader({ traceparent: "no,list" }, "traceparent")).toBe("no,list");
});

test("under another key a value like a traceparent has no precedence", () => {
  expect(readHeader({ "x-parent": [LATEST, "last"] }, "x-parent")).toBe("last");
});

test("of a header that was joined from many, the first thousand count", () => {
  const behind = (commas: number) => ",".repeat(commas) + LATEST;

  expect(readHeader({ traceparent: behind(999) }, "traceparent")).toBe(LATEST);
  expect(readHeader({ traceparent: behind(1000) }, "traceparent")).toBe(behind(1000));
});

test("of a key that was repeated, the last thousand count", () => {
  const before = (times: number) => [LATEST, ...Array.from({ length: times }, () => "x")];

  expect(readHeader({ traceparent: before(999) }, "traceparent")).toBe(LATEST);
  expect(readHeader({ traceparent: before(1000) }, "traceparent")).toBe("x");
});

describe("a header in quotes", () => {
  const quoted = (length: number) => `"${"x".repeat(length - 2)}"`;

  test.each<[string, string, string]>([
    ["is read without them", '"a=1"', "a=1"],
    ["is read without them up to 16 KiB", quoted(16_384), "x".repeat(16_382)],
    ["stays what it is when it is longer", quoted(16_385), quoted(16_385)],
    ["stays what it is when it is no JSON", '"a"b"', '"a"b"'],
    ["stays what it is when it is one quote", '"', '"'],
    ["stays what it is with a blank before it", ' "a=1"', ' "a=1"'],
    ["stays what it is with a blank behind it", '"a=1" ', '"a=1" '],
  ])("%s", (_, baggage, read) => {
    expect(readHeader({ baggage }, "baggage")).toBe(read);
  });
});

describe("a header of bytes", () => {
  test("is read as UTF-8", () => {
    expect(readHeader({ baggage: bytes("a=café") }, "baggage")).toBe("a=café");
  });

  test("is read no further than 64 KiB", () => {
    const long = Buffer.alloc(65_537, "x");
    const endless = Buffer.concat([long, INVALID_UTF8]);

    expect(readHeader({ baggage: long }, "baggage")?.length).toBe(65_536);
    expect(readHeader({ baggage: endless }, "baggage")?.length).toBe(65_536);
    expect(readHeader({ baggage: Buffer.concat([bytes("é"), long]) }, "baggage")?.length).toBe(
      65_535,
    );
  });
});

test("propagators that search for their keys find those of every form", () => {
  expect(kafkaGetter.keys({ a: "1", B: "2" })).toEqual(["a", "B"]);
  expect(kafkaGetter.keys([{ a: "1" }, { b: "2" }])).toEqual(["a", "b"]);
  expect(
    kafkaGetter.keys([
      ["a", "1"],
      [bytes("b"), "2"],
    ]),
  ).toEqual(["a", "b"]);
  expect(kafkaGetter.keys(new Map([[bytes("a"), "1"]]))).toEqual(["a"]);
  expect(kafkaGetter.keys(undefined)).toEqual([]);
});

test("propagators that search for their keys find none that is not text", () => {
  const keys: readonly unknown[] = [null, undefined, 7, INVALID_UTF8, {}];

  expect(kafkaGetter.keys(new Map([...keys, "a"].map((key) => [key, "1"])))).toEqual(["a"]);
  expect(kafkaGetter.keys([...keys, "a"].map((key) => [key, "1"]))).toEqual(["a"]);
  expect(kafkaGetter.keys([null, "text", 7, [], { a: "1" }])).toEqual(["a"]);
});

describe("outgoing headers", () => {
  const { traceparent } = sender();
  const injection = {
    fields: new Map([["traceparent", traceparent]]),
    stale: ["traceparent", "tracestate", "baggage"],
    trimmed: false,
  };
  const forms: Record<string, { before: unknown; after: unknown }> = {
    "are an object where there were none": { before: undefined, after: { traceparent } },
    "stay an object": {
      before: { a: ["1", bytes("2")], Traceparent: OLDER, tracestate: "old=1", BAGGAGE: ["b=1"] },
      after: { a: ["1", bytes("2")], traceparent },
    },
    "stay a list of objects with one key": {
      before: [{ a: "1" }, { TraceParent: OLDER }, { baggage: "b=1" }],
      after: [{ a: "1" }, { traceparent }],
    },
    "keep what else is in an object of a list": {
      before: [{ a: "1", tracestate: "old=1" }],
      after: [{ a: "1" }, { traceparent }],
    },
    "keep what is no header in a list": {
      before: [null, {}, 7, { a: "1" }],
      after: [null, {}, 7, { a: "1" }, { traceparent }],
    },
    "stay a list of pairs": {
      before: [
        ["a", bytes("1")],
        ["Tracestate", "old=1"],
      ],
      after: [
        ["a", bytes("1")],
        ["traceparent", traceparent],
      ],
    },
    "stay a list of pairs of bytes": {
      before: [[bytes("baggage"), bytes("b=1")]],
      after: [[bytes("traceparent"), bytes(traceparent)]],
    },
    "stay a Map": {
      before: new Map([
        ["a", "1"],
        ["TraceParent", OLDER],
        ["tracestate", "old=1"],
      ]),
      after: new Map([
        ["a", "1"],
        ["traceparent", traceparent],
      ]),
    },
    "stay a Map with keys of bytes": {
      before: new Map([[bytes("a"), bytes("1")]]),
      after: new Map([
        [bytes("a"), bytes("1")],
        [bytes("traceparent"), bytes(traceparent)],
      ]),
    },
    "stay a Map with keys that are no text": {
      before: new Map([[null, "1"]]),
      after: new Map([
        [null, "1"],
        ["traceparent", traceparent],
      ]),
    },
    "are nothing where there is null": { before: null, after: undefined },
    "are nothing where there are bytes": { before: bytes("a"), after: undefined },
  };
  for (const [what, { before, after }] of Object.entries(forms)) {
    test(what, () => {
      const untouched = inspect(before);

      expect(withFields(before, injection)).toEqual(after);
      expect(inspect(before)).toBe(untouched);
    });
  }

  test("keep a header named __proto__", () => {
    const before = Object.fromEntries([["__proto__", "x"]]);

    const after = withFields(before, injection) ?? {};

    expect(Object.entries(after)).toEqual([
      ["__proto__", "x"],
      ["traceparent", traceparent],
    ]);
    expect(Object.getPrototypeOf(after)).toBe(Object.prototype);
  });
});
