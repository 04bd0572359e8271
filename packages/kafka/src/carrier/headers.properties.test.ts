import { ROOT_CONTEXT } from "@opentelemetry/api";
import { Instrumenter, w3cPropagator } from "@traceferry/core";
import { sender } from "@traceferry/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { SETTINGS } from "../options.js";
import { HEAVY_TEST_MS } from "../sends.test-support.js";
import { kafkaGetter, readHeader, withFields } from "./headers.js";

const old = sender().traceparent;
const now = sender().traceparent;
const NO_UTF8 = Buffer.from([0xff, 0xfe]);
const bytes = (text: string) => Buffer.from(text);

test(
  "a key repeated a million times costs no stack",
  () => {
    const many = Array.from({ length: 1_000_000 }, () => "x");
    expect(readHeader({ traceparent: [...many, now] }, "traceparent")).toBe(now);
  },
  HEAVY_TEST_MS,
);

// What a stranger, or a serializer between us and the client, may make of headers.
const value = fc.oneof(
  fc.anything({ withMap: true, withTypedArray: true, withNullPrototype: true }),
  fc.constantFrom(now, `"${now}"`, `${old},${now}`, bytes(now), NO_UTF8, ""),
);
const key = fc.oneof(
  fc.constantFrom("traceparent", "TRACEPARENT", "baggage", "__proto__", "constructor"),
  fc.string(),
);
const strange = fc.oneof(
  value,
  fc.dictionary(key, fc.oneof(value, fc.array(value))),
  fc.array(fc.dictionary(key, value)),
  fc.array(fc.tuple(fc.oneof(key, key.map(bytes)), value)),
  fc.array(fc.tuple(key, value)).map((entries) => new Map(entries)),
);

test(
  "headers of any form whatever are read without a throw",
  () => {
    fc.assert(
      fc.property(strange, (headers) => {
        const read = readHeader(headers, "traceparent");
        if (read !== undefined && typeof read !== "string") throw new Error(`read ${typeof read}`);
        kafkaGetter.keys(headers);
      }),
      { numRuns: 2000 },
    );
  },
  HEAVY_TEST_MS,
);

test(
  "headers of any form that can be written are read back as the last sender's",
  () => {
    const instrumenter = new Instrumenter(SETTINGS, { propagator: w3cPropagator() });
    fc.assert(
      fc.property(strange, (headers) => {
        const injection = {
          fields: new Map([["traceparent", now]]),
          stale: ["traceparent", "tracestate", "baggage"],
          trimmed: false,
        };
        const written = withFields(headers, injection);
        if (written === undefined) return;
        const record = { topic: "t", partition: 0, message: {} };
        const { remoteParent: found } = instrumenter.extract(
          written,
          kafkaGetter,
          record,
          ROOT_CONTEXT,
        );
        expect(found?.traceId).toBe(now.slice(3, 35));
        expect(readHeader(written, "tracestate")).toBeUndefined();
      }),
      { numRuns: 2000 },
    );
  },
  HEAVY_TEST_MS,
);
