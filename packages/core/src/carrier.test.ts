import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { SanitizingGetter, sanitizeValue } from "./carrier.js";
import { SLOW_TEST, sanitizingGetter, TRACEPARENT } from "./fixtures.test-support.js";
import { anyHeaders } from "./w3c/values.test-support.js";

const get = (key: string, value: unknown) =>
  sanitizingGetter.get({ [key.toLowerCase()]: value }, key);
const latin1 = (text: string) => Buffer.from(text, "latin1");

describe("any propagator gets a traceparent", () => {
  test.each<[string, unknown]>([
    ["that is text", TRACEPARENT],
    ["that is a Buffer", Buffer.from(TRACEPARENT)],
    ["that is a Uint8Array", new Uint8Array(Buffer.from(TRACEPARENT))],
    ["that is a list of one", [Buffer.from(TRACEPARENT)]],
  ])("%s", (_, value) => {
    expect(get("traceparent", value)).toBe(TRACEPARENT);
  });

  test.each<[string, unknown]>([
    ["that was sent twice", [TRACEPARENT, TRACEPARENT]],
    ["with a newline, which the stock propagator would let pass", `${TRACEPARENT}\n`],
    ["with a letter beyond ASCII", `${TRACEPARENT}é`],
    ["with a byte beyond ASCII", latin1(`${TRACEPARENT}\u00e9`)],
    ["of 20,000 characters", "0".repeat(20_000)],
    ["that is a number", 42],
    ["that is not there", undefined],
    ["that is an empty list", []],
  ])("none %s", (_, value) => {
    expect(get("traceparent", value)).toBeUndefined();
  });
});

describe("any propagator gets a tracestate", () => {
  test.each<[string, unknown, string | undefined]>([
    ["as it is", "a=1, b=2", "a=1, b=2"],
    ["of several fields as one", ["a=1", Buffer.from("b=2")], "a=1,b=2"],
    ["not with a newline in it", "a=1\r\nx: y", undefined],
    ["not with a letter beyond ASCII in it", "a=é", undefined],
    ["not of more than 16 KiB", "a=1,".repeat(5000), undefined],
  ])("%s", (_, value, expected) => {
    expect(get("tracestate", value)).toBe(expected);
  });
});

describe("any propagator gets a baggage, or another format's field,", () => {
  test.each<[string, unknown, string | undefined]>([
    ["as it is", "a=1;p, b=2", "a=1;p, b=2"],
    ["of several fields as one", ["a=1", Buffer.from("b=2")], "a=1,b=2"],
    ["with tabs around its parts", "a=1\t,\tb=2", "a=1\t,\tb=2"],
    ["with a newline encoded", "a=1;x\r\ny", "a=1;x%0D%0Ay"],
    ["with letters beyond ASCII encoded", "a=café 🚀", "a=caf%C3%A9 %F0%9F%9A%80"],
    ["with UTF-8 bytes encoded", Buffer.from("a=café"), "a=caf%C3%A9"],
    ["with bytes that are no UTF-8 replaced", latin1("a=caf\u00e9"), "a=caf%EF%BF%BD"],
    ["with half an emoji replaced", "a=\ud83d", "a=%EF%BF%BD"],
    ["with a delete character encoded", "a=\u007f", "a=%7F"],
    ["in whole members up to 16 KiB", "a=1,".repeat(5000), "a=1,".repeat(4096).slice(0, -1)],
    ["not when one member alone is larger than that", `a=${"x".repeat(20_000)}`, ""],
    ["not when it is no text", 42, undefined],
    ["not when it is not there", undefined, undefined],
  ])("%s", (_, value, expected) => {
    expect(get("baggage", value)).toBe(expected);
    expect(get("uber-trace-id", value)).toBe(expected);
  });
});

test("the carrier is read by lower-case names, however the propagator spells them", () => {
  expect(sanitizingGetter.get({ "x-b3-traceid": "1" }, "X-B3-TraceId")).toBe("1");
});

test("the getter gives the keys of the carrier", () => {
  expect(sanitizingGetter.keys({ a: 1, B: 2 })).toEqual(["a", "B"]);
});

test("the getter gives the raw value too", () => {
  const twice = [TRACEPARENT, TRACEPARENT];
  expect(sanitizingGetter.raw({ traceparent: twice }, "traceparent")).toBe(twice);
});

test.each<[string, unknown, boolean]>([
  ["there is one", "a=1", true],
  ["there is a broken one", "a=1\n", true],
  ["there is one of more than 16 KiB", "a=1,".repeat(5000), true],
  ["there is none", undefined, false],
  ["it is empty", "", false],
  ["it has only blanks and commas", " , ,\t", false],
])("the getter knows whether there was a tracestate when %s", (_, tracestate, expected) => {
  const getter = new SanitizingGetter<unknown>({ read: () => tracestate, keys: () => [] });
  getter.get({}, "tracestate");
  expect(getter.sawTracestate).toBe(expected);
});

test.each(["traceparent", "tracestate", "baggage"])(
  "no more than 64 KiB of a %s are decoded, whatever its length, to be cut or refused",
  (key) => {
    const decoded = (bytes: number) => {
      using toText = vi.spyOn(Buffer.prototype, "toString");
      get(key, Buffer.alloc(bytes, "a=1,"));
      return toText.mock.contexts.map(({ length }) => length);
    };
    expect([65_535, 65_536, 65_537, 1 << 20].map(decoded)).toEqual([
      [65_535],
      [65_536],
      [65_536],
      [65_536],
    ]);
  },
);

test("a value of any type and content is read as printable ASCII or not at all", SLOW_TEST, () => {
  fc.assert(
    fc.property(anyHeaders, (headers) => {
      for (const key of Object.keys(headers)) {
        const value: unknown = sanitizingGetter.get(headers, key);
        expect(value ?? "").toMatch(/^[\t\x20-\x7e]{0,65536}$/);
      }
    }),
  );
});

describe("a value written into a carrier", () => {
  test.each([
    ["stays as it is", "a=1;p=2,b=3", "a=1;p=2,b=3"],
    ["has no blanks around it", " \ta=1 \t", "a=1"],
    ["has a blank for a tab, which grpc-node refuses", "a=1;x\ty", "a=1;x y"],
    ["has no newline", "a=1;x\r\ny", "a=1;x%0D%0Ay"],
    ["has nothing beyond ASCII", "a=1;p=€", "a=1;p=%E2%82%AC"],
    ["is empty when it is blank", " \t ", ""],
  ])("%s", (_, value, expected) => {
    expect(sanitizeValue(value)).toBe(expected);
  });
});
