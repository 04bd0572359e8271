import { validateHeaderName, validateHeaderValue } from "node:http";
import {
  type Context,
  INVALID_SPAN_CONTEXT,
  propagation,
  ROOT_CONTEXT,
  type TextMapPropagator,
  trace,
} from "@opentelemetry/api";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  plainGetter,
  REMOTE,
  SETTINGS,
  SLOW_TEST,
  sanitizingGetter,
  stockPropagator,
  TRACEPARENT,
} from "./fixtures.test-support.js";
import { inject } from "./inject.js";
import { Instrumenter } from "./instrumenter.js";
import { w3cPropagator } from "./w3c/index.js";
import { anyHeaders } from "./w3c/values.test-support.js";

const strict = w3cPropagator();
const NAMES = { traceparent: 11, tracestate: 10, baggage: 7 };

function contextOf(headers: Record<string, string>): Context {
  return strict.extract(ROOT_CONTEXT, headers, plainGetter);
}

/** A propagator that writes these fields and nothing else. */
function writing(fields: Record<string, unknown>, names = Object.keys(fields)): TextMapPropagator {
  return {
    inject(_, carrier, setter) {
      for (const [key, value] of Object.entries(fields))
        setter.set(carrier, key, Object(value).valueOf());
    },
    extract: (context) => context,
    fields: () => names,
  };
}

function fieldsOf(propagator: TextMapPropagator, from: Context, maxBytes = 8192) {
  const injection = inject(propagator, from, true, maxBytes);
  return injection && Object.fromEntries(injection.fields);
}

describe("a message gets", () => {
  const headers = { traceparent: TRACEPARENT, tracestate: "a=1", baggage: "b=2" };

  test("the fields of its context, and the names of all stale ones", () => {
    const injection = inject(strict, contextOf(headers), true, 8192);
    expect(Object.fromEntries(injection?.fields ?? [])).toEqual(headers);
    expect(injection).toMatchObject({
      stale: ["traceparent", "tracestate", "baggage"],
      trimmed: false,
    });
  });

  test("nothing for an empty context: the caller's own fields stay", () => {
    expect(inject(strict, ROOT_CONTEXT, true, 8192)).toBeUndefined();
  });

  test("no baggage when none is allowed, and a stale one is taken out all the same", () => {
    const injection = inject(strict, contextOf(headers), false, 8192);
    expect([...(injection?.fields.keys() ?? [])]).toEqual(["traceparent", "tracestate"]);
    expect(injection?.stale).toContain("baggage");
  });

  test("the baggage entries that are allowed", () => {
    const from = contextOf({ traceparent: TRACEPARENT, baggage: "a=1,b=2;p,c=3" });
    expect(inject(strict, from, ["c", "b", "z"], 8192)?.fields.get("baggage")).toBe("b=2;p,c=3");
    expect(inject(strict, from, ["z"], 8192)?.fields.has("baggage")).toBe(false);
  });

  test("a baggage without a trace, and then the caller's trace stays", () => {
    const alone = contextOf({ baggage: "b=2" });
    expect(inject(strict, alone, true, 8192)?.stale).toEqual(["baggage"]);
    const invalid = trace.setSpanContext(alone, INVALID_SPAN_CONTEXT);
    expect(inject(strict, invalid, true, 8192)?.stale).toEqual(["baggage"]);
  });
});

describe("a field that a foreign propagator writes", () => {
  const traced = trace.setSpanContext(ROOT_CONTEXT, REMOTE);

  test("has lower-case names, each once", () => {
    const twice = writing({ B3: "1", b3: "2" });
    expect(fieldsOf(twice, traced)).toEqual({ b3: "2" });
    expect(inject(twice, traced, true, 8192)?.stale).toContain("b3");
  });

  test("replaces a stale one, also where the propagator did not announce it", () => {
    expect(inject(writing({ "x-trace": "1" }, ["B3"]), traced, true, 8192)?.stale).toEqual([
      "b3",
      "x-trace",
    ]);
  });

  test("is left out when its value is no text, or blank", () => {
    expect(fieldsOf(writing({ a: 1, b: null, c: ["x"], d: "", e: " \t", f: "x" }), traced)).toEqual(
      { f: "x" },
    );
  });

  test("is left out when no transport accepts its name", () => {
    const names = {
      "ot-baggage-user id": "1",
      "x:y": "1",
      "x\r\ny": "1",
      "": "1",
      é: "1",
      "ot-baggage-a_b.c": "1",
    };
    expect(fieldsOf(writing(names), traced)).toEqual({ "ot-baggage-a_b.c": "1" });
  });

  test("is printable, without blanks around it", () => {
    expect(fieldsOf(writing({ baggage: " a=1;x\r\ny;z=\u20ac\t" }), traced)).toEqual({
      baggage: "a=1;x%0D%0Ay;z=%E2%82%AC",
    });
  });
});

describe("within a budget of bytes", () => {
  const baggage = ["a=1111", "b=2222", "c=3333"].join(",");
  const headers = { traceparent: TRACEPARENT, tracestate: "rojo=1,congo=2", baggage };
  type Sent = Partial<Record<keyof typeof headers, string | undefined>>;
  const size = (some: Record<string, string>) =>
    Object.entries(some).reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  const all = size(headers);
  const bare = size({ traceparent: TRACEPARENT, tracestate: headers.tracestate });

  test.each<[string, number, Sent, boolean]>([
    ["that is just enough, all is sent", all, headers, false],
    ["without a limit, all is sent", Number.POSITIVE_INFINITY, headers, false],
    [
      "one byte short, the last baggage member is dropped",
      all - 1,
      { ...headers, baggage: "a=1111,b=2222" },
      true,
    ],
    [
      "with room for one member, one is sent",
      bare + NAMES.baggage + 6,
      { ...headers, baggage: "a=1111" },
      true,
    ],
    [
      "with room for part of a member, no baggage is sent",
      bare + NAMES.baggage + 5,
      { baggage: undefined },
      true,
    ],
    [
      "too small for baggage, traceparent and tracestate are sent",
      bare,
      { baggage: undefined },
      true,
    ],
    [
      "with room for traceparent only, it is sent alone",
      bare - 1,
      { baggage: undefined, tracestate: undefined },
      true,
    ],
    [
      "of one byte, traceparent is still sent",
      1,
      { baggage: undefined, tracestate: undefined },
      true,
    ],
  ])("%s", (_, maxBytes, expected, trimmed) => {
    const injection = inject(strict, contextOf(headers), true, maxBytes);
    const wanted = Object.entries({ ...headers, ...expected }).filter(
      ([, value]) => value !== undefined,
    );
    expect(Object.fromEntries(injection?.fields ?? [])).toEqual(Object.fromEntries(wanted));
    expect(injection?.trimmed).toBe(trimmed);
  });

  test(
    "all fields together keep the budget, for any baggage and budget above the traceparent",
    SLOW_TEST,
    () => {
      fc.assert(
        fc.property(
          fc.array(fc.string({ unit: fc.constantFrom("x", "é"), maxLength: 30 }), {
            maxLength: 20,
          }),
          fc.integer({ min: 66, max: 800 }),
          (values, maxBytes) => {
            let baggage = propagation.createBaggage();
            values.forEach((value, i) => {
              baggage = baggage.setEntry(`k${i}`, { value });
            });
            const from = propagation.setBaggage(
              contextOf({ traceparent: TRACEPARENT, tracestate: "rojo=1" }),
              baggage,
            );
            const sent = fieldsOf(strict, from, maxBytes) ?? {};
            const whole = fieldsOf(strict, from)?.baggage ?? "";
            expect(size(sent)).toBeLessThanOrEqual(maxBytes);
            expect(sent.traceparent).toBe(TRACEPARENT);
            expect(
              `${whole},`.startsWith(sent.baggage === undefined ? "" : `${sent.baggage},`),
            ).toBe(true);
          },
        ),
      );
    },
  );
});

test.each([
  ["the stock propagator with a sanitizing getter", stockPropagator()],
  ["the strict one", strict],
])(
  "HTTP accepts the fields that are sent for any incoming headers, by %s",
  SLOW_TEST,
  (_, propagator) => {
    const instrumenter = new Instrumenter(SETTINGS, { propagator });
    fc.assert(
      fc.property(anyHeaders, (headers) => {
        const { parent } = instrumenter.extract(headers, sanitizingGetter, undefined, ROOT_CONTEXT);
        for (const [key, value] of instrumenter.inject(parent)?.fields ?? []) {
          validateHeaderName(key);
          validateHeaderValue(key, value);
          expect(value, key).toMatch(/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/);
        }
      }),
      { numRuns: 400 },
    );
  },
);
