import { ROOT_CONTEXT } from "@opentelemetry/api";
import { Instrumenter, w3cPropagator } from "@traceferry/core";
import { sender } from "@traceferry/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { SLOW_TEST } from "../fixtures.test-support.js";
import { SETTINGS } from "../options.js";
import { kafkaGetter, readHeader, withFields } from "./headers.js";

const OLDER = sender().traceparent;
const LATEST = sender().traceparent;
const INVALID_UTF8 = Buffer.from([0xff, 0xfe]);
const bytes = (text: string) => Buffer.from(text);

test("a key repeated a million times does not overflow the stack", SLOW_TEST, () => {
  const many = Array.from({ length: 1_000_000 }, () => "x");
  expect(readHeader({ traceparent: [...many, LATEST] }, "traceparent")).toBe(LATEST);
});

// Headers as a foreign sender, or a serializer on the way, may form them.
const value = fc.oneof(
  fc.anything({ withMap: true, withTypedArray: true, withNullPrototype: true }),
  fc.constantFrom(LATEST, `"${LATEST}"`, `${OLDER},${LATEST}`, bytes(LATEST), INVALID_UTF8, ""),
);
const key = fc.oneof(
  fc.constantFrom("traceparent", "TRACEPARENT", "baggage", "__proto__", "constructor"),
  fc.string(),
);
const anyHeaders = fc.oneof(
  value,
  fc.dictionary(key, fc.oneof(value, fc.array(value))),
  fc.array(fc.dictionary(key, value)),
  fc.array(fc.tuple(fc.oneof(key, key.map(bytes)), value)),
  fc.array(fc.tuple(key, value)).map((entries) => new Map(entries)),
);

test("headers of any shape are read without a throw", SLOW_TEST, () => {
  fc.assert(
    fc.property(anyHeaders, (headers) => {
      const read = readHeader(headers, "traceparent");
      if (read !== undefined && typeof read !== "string") throw new Error(`read ${typeof read}`);
      kafkaGetter.keys(headers);
    }),
    { numRuns: 2000 },
  );
});

test(
  "headers of any shape that can be written are read back with the injected sender",
  SLOW_TEST,
  () => {
    const instrumenter = new Instrumenter(SETTINGS, { propagator: w3cPropagator() });
    fc.assert(
      fc.property(anyHeaders, (headers) => {
        const injection = {
          fields: new Map([["traceparent", LATEST]]),
          stale: ["traceparent", "tracestate", "baggage"],
          trimmed: false,
        };
        const written = withFields(headers, injection);
        if (written === undefined) return;
        const record = { topic: "t", partition: 0, message: {} };
        const { remoteParent } = instrumenter.extract(written, kafkaGetter, record, ROOT_CONTEXT);
        expect(remoteParent?.traceId).toBe(LATEST.slice(3, 35));
        expect(readHeader(written, "tracestate")).toBeUndefined();
      }),
      { numRuns: 2000 },
    );
  },
);
