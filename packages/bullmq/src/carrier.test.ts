import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HEAVY_TEST_MS } from "./bullmq.test.driver.js";
import { decodeJobOptions, decodeMetadata, encodeMetadata } from "./carrier.js";

const TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

describe("metadata are read, whoever wrote them", () => {
  test.each<[who: string, metadata: unknown]>([
    ["BullMQ", JSON.stringify({ traceparent: TRACEPARENT })],
    ["Python, with a space after the colon", `{"traceparent": "${TRACEPARENT}"}`],
    ["a sender with upper-case keys", JSON.stringify({ TraceParent: TRACEPARENT })],
    ["the Elixir port, as pairs", JSON.stringify([["traceparent", TRACEPARENT]])],
    ["a sender that encodes twice", JSON.stringify(JSON.stringify({ traceparent: TRACEPARENT }))],
    ["a sender that forgets to encode", { traceparent: TRACEPARENT }],
    [
      "dd-trace",
      JSON.stringify({ _datadog: { "x-datadog-trace-id": "1", traceparent: TRACEPARENT } }),
    ],
    ["a sender of a bare traceparent", TRACEPARENT],
    ["a sender of a bare traceparent, as JSON", JSON.stringify(TRACEPARENT)],
  ])("%s", (_who, metadata) => {
    expect(decodeMetadata(metadata).traceparent).toBe(TRACEPARENT);
  });
});

test.each([undefined, null, "", "{}", "[]", "null", "42", false, true, 7])(
  "metadata %j carry nothing",
  (metadata) => {
    expect({ ...decodeMetadata(metadata) }).toEqual({});
  },
);

test("a key that came several times keeps all of its values", () => {
  const pairs = JSON.stringify([
    ["traceparent", "a"],
    ["TRACEPARENT", "b"],
  ]);
  expect(decodeMetadata(pairs).traceparent).toEqual(["a", "b"]);
  expect(decodeMetadata('{"traceparent":"a","Traceparent":"b"}').traceparent).toEqual(["a", "b"]);
});

test("a hundred thousand keys, or the same key as often, cost no time", () => {
  const pairs = Array.from({ length: 100_000 }, () => ["traceparent", TRACEPARENT]);
  const keys = Array.from({ length: 100_000 }, (_, number) => [`k${number}`, "v"]);

  expect(Object.keys(decodeMetadata(JSON.stringify(Object.fromEntries(keys))))).toHaveLength(100);
  expect(decodeMetadata(JSON.stringify(pairs)).traceparent).toHaveLength(100);
}, HEAVY_TEST_MS);

test("keys such as __proto__ are keys like others", () => {
  const carrier = decodeMetadata('{"__proto__":{"traceparent":"evil"},"constructor":"x"}');

  expect(carrier.traceparent).toBeUndefined();
  expect(Object.keys(carrier)).toEqual(["__proto__", "constructor"]);
  expect(Object.getPrototypeOf(carrier)).toBeNull();
});

describe("a job's options are read in every form", () => {
  const metadata = JSON.stringify({ traceparent: TRACEPARENT });
  test.each<[form: string, options: unknown]>([
    ["as BullMQ gives them to a worker", { telemetry: { metadata } }],
    ["as Redis keeps them", { tm: metadata, omc: true }],
    ["as Redis keeps them, unparsed", JSON.stringify({ attempts: 3, tm: metadata })],
    ["with telemetry that says nothing", { telemetry: { metadata: false }, tm: metadata }],
    ["with the fields at their top", { attempts: 3, traceparent: TRACEPARENT, tracestate: "" }],
  ])("%s", (_form, options) => {
    expect(decodeJobOptions(options).traceparent).toBe(TRACEPARENT);
  });
});

test("what a caller keeps in the metadata beside an earlier trace stays", () => {
  const injection = {
    fields: new Map([["traceparent", "new"]]),
    stale: ["traceparent", "tracestate", "baggage"],
    trimmed: false,
  };
  const existing = JSON.stringify({ TraceParent: "old", baggage: "a=1", tenant: "acme", n: [1] });

  expect(JSON.parse(encodeMetadata(injection, existing))).toEqual({
    tenant: "acme",
    n: [1],
    traceparent: "new",
  });
  for (const broken of ["garbage{", "", "[]", "7", TRACEPARENT, undefined, false]) {
    expect(encodeMetadata(injection, broken)).toBe('{"traceparent":"new"}');
  }
});

test("nothing that anybody may write makes reading throw", () => {
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
}, HEAVY_TEST_MS);
