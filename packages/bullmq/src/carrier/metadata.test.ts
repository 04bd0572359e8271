import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SLOW_TEST } from "../bullmq.test-support.js";
import { decodeJobOptions, decodeMetadata, encodeMetadata } from "./metadata.js";

const TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER_TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

describe("metadata are read in the form of", () => {
  test.each<[sender: string, metadata: unknown]>([
    ["BullMQ", JSON.stringify({ traceparent: TRACEPARENT })],
    ["Python, with a space after the colon", `{"traceparent": "${TRACEPARENT}"}`],
    ["a sender with upper-case keys", JSON.stringify({ TraceParent: TRACEPARENT })],
    ["the Elixir port, as pairs", JSON.stringify([["traceparent", TRACEPARENT]])],
    ["a sender that encodes twice", JSON.stringify(JSON.stringify({ traceparent: TRACEPARENT }))],
    ["a sender that encodes pairs twice", JSON.stringify(`[["traceparent","${TRACEPARENT}"]]`)],
    ["a sender that encodes indented JSON", JSON.stringify(`\n {"traceparent":"${TRACEPARENT}"}`)],
    ["a sender that forgets to encode", { traceparent: TRACEPARENT }],
    [
      "dd-trace",
      JSON.stringify({ _datadog: { "x-datadog-trace-id": "1", traceparent: TRACEPARENT } }),
    ],
    ["dd-trace, in upper case", JSON.stringify({ _DATADOG: { TRACEPARENT } })],
    ["a sender of a bare traceparent", TRACEPARENT],
    ["a sender of a bare traceparent, as JSON", JSON.stringify(TRACEPARENT)],
  ])("%s", (_sender, metadata) => {
    expect(decodeMetadata(metadata).traceparent).toBe(TRACEPARENT);
  });
});

test.each([undefined, null, "", "{}", "[]", "null", "42", false, true, 7])(
  "metadata %j carry nothing",
  (metadata) => {
    expect({ ...decodeMetadata(metadata) }).toEqual({});
  },
);

test("functions carry nothing, whatever properties they have", () => {
  const fields = { traceparent: TRACEPARENT, metadata: TRACEPARENT, tm: TRACEPARENT };
  const metadata = Object.assign(() => 1, fields);

  expect({ ...decodeMetadata(metadata) }).toEqual({});
  expect({ ...decodeJobOptions(metadata) }).toEqual({});
  expect(decodeJobOptions({ telemetry: metadata }).traceparent).toBeUndefined();
});

test("a text that is neither JSON nor a traceparent is kept, to be reported as an invalid sender", () => {
  expect({ ...decodeMetadata("zz{") }).toEqual({ traceparent: "zz{" });
  expect({ ...decodeMetadata(JSON.stringify("zz{")) }).toEqual({ traceparent: "zz{" });
});

test("anything else in a list of pairs is skipped", () => {
  const list = [null, 7, "ab", { 0: "baggage", 1: "a=1" }, [], ["traceparent", TRACEPARENT]];
  expect({ ...decodeMetadata(JSON.stringify(list)) }).toEqual({ traceparent: TRACEPARENT });
});

describe("beside dd-trace's object within the object", () => {
  test("a traceparent of the sender's own wins, with its own tracestate", () => {
    const own = { traceparent: TRACEPARENT, tracestate: "rojo=1" };
    const within = { traceparent: OTHER_TRACEPARENT, tracestate: "dd=1" };

    expect(decodeMetadata(JSON.stringify({ ...own, _datadog: within }))).toMatchObject(own);
  });

  test.each([null, "x"])("other fields are kept where it is %j", (within) => {
    const metadata = { baggage: "a=1", _datadog: within };
    expect({ ...decodeMetadata(JSON.stringify(metadata)) }).toEqual(metadata);
  });
});

test("a key that came several times keeps all of its values", () => {
  const pairs = JSON.stringify([
    ["traceparent", "a"],
    ["TRACEPARENT", "b"],
  ]);
  expect(decodeMetadata(pairs).traceparent).toEqual(["a", "b"]);
  expect(decodeMetadata('{"traceparent":"a","Traceparent":"b"}').traceparent).toEqual(["a", "b"]);
});

test.each(["", null, 0])("a key that came first with %j has come several times too", (first) => {
  const pairs = [
    ["traceparent", first],
    ["traceparent", "b"],
    ["traceparent", "c"],
  ];
  expect(decodeMetadata(pairs).traceparent).toEqual([first, "b", "c"]);
});

test("a hundred thousand keys, or the same key as often, cost no time", SLOW_TEST, () => {
  const pairs = Array.from({ length: 100_000 }, () => ["traceparent", TRACEPARENT]);
  const keys = Array.from({ length: 100_000 }, (_, number) => [`k${number}`, "v"]);

  expect(Object.keys(decodeMetadata(JSON.stringify(Object.fromEntries(keys))))).toHaveLength(100);
  expect(decodeMetadata(JSON.stringify(pairs)).traceparent).toHaveLength(100);
});

test("keys such as __proto__ are keys like others", () => {
  const carrier = decodeMetadata('{"__proto__":{"traceparent":"evil"},"constructor":"x"}');

  expect(carrier.traceparent).toBeUndefined();
  expect(Object.keys(carrier)).toEqual(["__proto__", "constructor"]);
  expect(Object.getPrototypeOf(carrier)).toBeNull();
});

test("an empty carrier inherits no keys, and is frozen, so that no field gets into the next job", () => {
  const carrier = decodeMetadata("");

  expect(carrier.constructor).toBeUndefined();
  expect(Reflect.set(carrier, "traceparent", TRACEPARENT)).toBe(false);
  expect({ ...decodeMetadata("") }).toEqual({});
});

describe("a job's options are read in every form", () => {
  const metadata = JSON.stringify({ traceparent: TRACEPARENT });
  test.each<[form: string, options: unknown]>([
    ["as BullMQ gives them to a worker", { telemetry: { metadata } }],
    ["as Redis keeps them", { tm: metadata, omc: true }],
    ["as Redis keeps them, unparsed", JSON.stringify({ attempts: 3, tm: metadata })],
    [
      "with both, of which the worker's form wins",
      { telemetry: { metadata }, tm: OTHER_TRACEPARENT },
    ],
    ["with telemetry that is null", { telemetry: null, tm: metadata }],
    ["with telemetry that holds no metadata", { telemetry: { metadata: false }, tm: metadata }],
    ["with the fields at their top", { attempts: 3, traceparent: TRACEPARENT, tracestate: "" }],
  ])("%s", (_form, options) => {
    expect(decodeJobOptions(options).traceparent).toBe(TRACEPARENT);
  });
});

describe("the caller's own metadata", () => {
  const injection = {
    fields: new Map([["traceparent", "new"]]),
    stale: ["traceparent", "tracestate", "baggage"],
    trimmed: false,
  };

  test("are kept before our fields, without those of an earlier trace", () => {
    const existing = { TraceParent: "old", baggage: "a=1", tenant: "acme", n: [1] };

    const text = encodeMetadata(injection, JSON.stringify(existing));

    expect(text).toBe('{"tenant":"acme","n":[1],"traceparent":"new"}');
  });

  test.each(["garbage{", "", "[]", '[["tenant","acme"]]', "7", TRACEPARENT, undefined, false])(
    "are replaced when they are %j",
    (existing) => {
      expect(encodeMetadata(injection, existing)).toBe('{"traceparent":"new"}');
    },
  );

  test("are replaced by baggage alone when they are no text", () => {
    const fields = new Map([["baggage", "a=1"]]);
    const existing = { traceparent: TRACEPARENT };

    expect(encodeMetadata({ fields, stale: ["baggage"], trimmed: false }, existing)).toBe(
      '{"baggage":"a=1"}',
    );
  });
});

test("decoding never throws, whatever the metadata hold", SLOW_TEST, () => {
  const hostile = fc.oneof(
    fc.anything({ withNullPrototype: true, withBigInt: true, withTypedArray: true }),
    fc.json(),
    fc.string({ unit: "binary" }),
    fc.json().map((json) => json.slice(0, -1)),
  );
  fc.assert(
    fc.property(hostile, (value) => {
      decodeMetadata(value);
      decodeJobOptions(value);
      decodeJobOptions({ telemetry: { metadata: value }, tm: value });
    }),
    { numRuns: 1000 },
  );
  const trap = new Proxy({}, { ownKeys: () => expect.fail(), get: () => expect.fail() });
  expect(decodeMetadata(trap)).toEqual({});
  expect(decodeJobOptions(trap)).toEqual({});
});
