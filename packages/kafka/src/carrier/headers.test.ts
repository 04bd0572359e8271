import { inspect } from "node:util";
import { sender } from "@traceferry/testkit";
import { describe, expect, test } from "vitest";
import { decodeHeaders } from "../fake-kafkajs.test-support.js";
import { type KafkaHeaders, kafkaGetter, readHeader, withFields } from "./headers.js";

const old = sender().traceparent;
const now = sender().traceparent;
const NO_UTF8 = Buffer.from([0xff, 0xfe]);
const bytes = (text: string) => Buffer.from(text);
const partOf = (text: string, from: number, length: number) =>
  new Uint8Array(new TextEncoder().encode(text).buffer, from, length);

describe("the sender is found", () => {
  const forms: Record<string, KafkaHeaders> = {
    "in an object of text": { traceparent: now },
    "in an object of bytes": { traceparent: bytes(now) },
    "in a part of a larger buffer": { traceparent: partOf(`<<${now}>>`, 2, now.length) },
    "in an object of bytes that are no Buffer": { traceparent: new TextEncoder().encode(now) },
    "in an object without prototype": Object.assign(Object.create(null), { traceparent: now }),
    "in a list of objects with one key": [{ a: "1" }, { traceparent: bytes(now) }],
    "in an object with several keys in a list": [{ a: "1", traceparent: now }],
    "in a list of pairs": [
      ["a", "1"],
      ["traceparent", bytes(now)],
    ],
    "in a list of pairs with keys of bytes": [[bytes("traceparent"), bytes(now)]],
    "in a Map": new Map([["traceparent", now]]),
    "in a Map with keys of bytes": new Map([[bytes("traceparent"), bytes(now)]]),
    "in any letter case": { TraceParent: now },
    "in any letter case of bytes": [[bytes("TRACEPARENT"), bytes(now)]],
    "in quotes, as JSON converters send it": { traceparent: `"${now}"` },
    "between blanks": { traceparent: ` \t${now}\t ` },
    "behind an older one": { traceparent: [bytes(old), bytes(now)] },
    "behind an older one, in a list": [{ traceparent: old }, { traceparent: now }],
    "behind an older one, in a Map with keys of bytes": new Map([
      [bytes("traceparent"), bytes(old)],
      [bytes("traceparent"), bytes(now)],
    ]),
    "behind an older one in another letter case": { Traceparent: old, traceparent: now },
    "behind two older ones": { traceparent: [old, old, now] },
    "behind an older one, joined as NestJS does it": { traceparent: `${old},${now}` },
    "between what is no text": { traceparent: ["", NO_UTF8, now, bytes(""), NO_UTF8] },
    "before what is no traceparent": { traceparent: [now, "garbage"] },
    "before a traceparent of zeros": {
      traceparent: [now, `00-${"0".repeat(32)}-00f067aa0ba902b7-01`],
    },
    "before a traceparent that goes on": { traceparent: [now, `${old}-more`] },
    "between blanks, before what is no traceparent": { traceparent: [` \t${now}\t `, "garbage"] },
    "before a parent of zeros": {
      traceparent: [now, now.replace(/-[0-9a-f]{16}-/, `-${"0".repeat(16)}-`)],
    },
    "before a version that is no hex": { traceparent: [now, now.replace("00-", "zz-")] },
    "before a trace id in capitals": {
      traceparent: [now, `00-${"A".repeat(32)}-00f067aa0ba902b7-01`],
    },
    "before a parent in capitals": {
      traceparent: [now, `00-4bf92f3577b34da6a3ce929d0e0e4736-${"A".repeat(16)}-01`],
    },
    "before flags in capitals": { traceparent: [now, `${old.slice(0, -2)}AA`] },
    "before flags that go on": { traceparent: [now, `${old}01`] },
    "before what has a traceparent in it": { traceparent: [now, `x${old}`] },
    "before version ff": { traceparent: [now, now.replace("00-", "ff-")] },
    "beside headers that plain objects inherit": decodeHeaders([
      ["constructor", bytes("x")],
      ["toString", bytes("x")],
      ["__proto__", bytes("x")],
      ["traceparent", bytes(now)],
    ]),
    "behind a null, as kafkajs decodes it": decodeHeaders([
      ["traceparent", null],
      ["traceparent", bytes(now)],
    ]),
    "before a null, as kafkajs decodes it": decodeHeaders([
      ["traceparent", bytes(now)],
      ["traceparent", null],
    ]),
  };
  for (const [where, headers] of Object.entries(forms)) {
    test(where, () => {
      expect(readHeader(headers, "traceparent")?.trim()).toBe(now);
    });
  }
});

describe("no sender is found", () => {
  const forms: Record<string, unknown> = {
    "in headers that are not there": undefined,
    "in null": null,
    "in text": now,
    "in bytes": bytes(now),
    "in a number": 7,
    "in a list of text": [now],
    "in bytes that are no UTF-8": { traceparent: NO_UTF8 },
    "in an empty value, which is how Confluent delivers null": { traceparent: bytes("") },
    "in an object where text should be": { traceparent: { value: now } },
    "under a longer key": { xtraceparent: now, "traceparent ": now },
    "under an inherited key": Object.create({ traceparent: now }),
    "under a key that is no UTF-8": new Map([[NO_UTF8, now]]),
    "under another key of the same length": { tracesister: now },
    "under another key of a Map": new Map([["other", now]]),
    "under another key in a list": [["other", now]],
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
    baggage: [bytes("a=1"), bytes("b=2"), NO_UTF8],
  };

  expect(readHeader(headers, "tracestate")).toBe("new=2");
  expect(readHeader(headers, "baggage")).toBe("b=2");
});

test("a traceparent of a future version counts, with what it has behind the flags", () => {
  const future = `cc${now.slice(2)}-more`;
  expect(readHeader({ traceparent: [old, future] }, "traceparent")).toBe(future);
});

test("a traceparent that is broken is read, so that its fault can be told", () => {
  expect(readHeader({ traceparent: ["", "first", "second"] }, "traceparent")).toBe("second");
  expect(readHeader({ traceparent: "no,list" }, "traceparent")).toBe("no,list");
});

test("under another key a value that looks like a traceparent is one like any other", () => {
  expect(readHeader({ "x-parent": [now, "last"] }, "x-parent")).toBe("last");
});

test("of a header that was joined of many, the first thousand count", () => {
  const behind = (commas: number) => ",".repeat(commas) + now;

  expect(readHeader({ traceparent: behind(999) }, "traceparent")).toBe(now);
  expect(readHeader({ traceparent: behind(1000) }, "traceparent")).toBe(behind(1000));
});

test("of a key that was repeated, the last thousand count", () => {
  const before = (times: number) => [now, ...Array.from({ length: times }, () => "x")];

  expect(readHeader({ traceparent: before(999) }, "traceparent")).toBe(now);
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
    const endless = Buffer.concat([long, NO_UTF8]);

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

test("propagators that search for their keys are told none that is no text", () => {
  const keys: readonly unknown[] = [null, undefined, 7, NO_UTF8, {}];

  expect(kafkaGetter.keys(new Map([...keys, "a"].map((key) => [key, "1"])))).toEqual(["a"]);
  expect(kafkaGetter.keys([...keys, "a"].map((key) => [key, "1"]))).toEqual(["a"]);
  expect(kafkaGetter.keys([null, "text", 7, [], { a: "1" }])).toEqual(["a"]);
});

describe("headers that leave", () => {
  const { traceparent } = sender();
  const injection = {
    fields: new Map([["traceparent", traceparent]]),
    stale: ["traceparent", "tracestate", "baggage"],
    trimmed: false,
  };
  const forms: Record<string, { before: unknown; after: unknown }> = {
    "are an object where there were none": { before: undefined, after: { traceparent } },
    "stay an object": {
      before: { a: ["1", bytes("2")], Traceparent: old, tracestate: "old=1", BAGGAGE: ["b=1"] },
      after: { a: ["1", bytes("2")], traceparent },
    },
    "stay a list of objects with one key": {
      before: [{ a: "1" }, { TraceParent: old }, { baggage: "b=1" }],
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
        ["TraceParent", old],
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
