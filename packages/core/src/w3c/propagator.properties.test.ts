import {
  baggageEntryMetadataFromString,
  propagation,
  ROOT_CONTEXT,
  trace,
} from "@opentelemetry/api";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  injected,
  plainGetter,
  relayed,
  SLOW_TEST,
  SPAN_ID,
  TRACE_ID,
  TRACEPARENT,
} from "../fixtures.test-support.js";
import { expectValidFields } from "./grammar.test-support.js";
import { w3cPropagator } from "./propagator.js";
import { anyHeaders, token, tracestateMember } from "./values.test-support.js";

const propagator = w3cPropagator();

test(
  "for any incoming headers the fields sent on keep the grammars, and nothing is thrown",
  SLOW_TEST,
  () => {
    fc.assert(
      fc.property(anyHeaders, (headers) => {
        const sent = relayed(propagator, headers);
        expectValidFields(sent);
        // Fields that were sent once pass through every further service unchanged.
        expect(relayed(propagator, sent)).toEqual(sent);
      }),
      { numRuns: 500 },
    );
  },
);

test(
  "for any span, state and baggage that an application makes the fields sent keep the grammars",
  SLOW_TEST,
  () => {
    const anything = fc.oneof(fc.anything(), fc.string({ unit: "binary" }));
    const id = (right: string) => fc.oneof({ weight: 3, arbitrary: fc.constant(right) }, anything);
    const entry = fc.tuple(
      fc.oneof(token, anything),
      anything,
      fc.oneof(fc.string({ unit: "binary" }), anything),
    );
    fc.assert(
      fc.property(
        id(TRACE_ID),
        id(SPAN_ID),
        anything,
        anything,
        fc.array(entry),
        (traceId, spanId, flags, state, entries) => {
          // As untyped JavaScript may make them: Object() returns its argument, as `any`.
          const span = Object({
            traceId,
            spanId,
            traceFlags: flags,
            traceState: Object({ serialize: () => state }),
          });
          const baggage = Object({
            getAllEntries: () =>
              entries.map(([key, value, text]) => [
                key,
                { value, metadata: { toString: () => text } },
              ]),
          });
          const context = propagation.setBaggage(trace.setSpanContext(ROOT_CONTEXT, span), baggage);
          expectValidFields(injected(propagator, context));
        },
      ),
      { numRuns: 500 },
    );
  },
);

test(
  "every member of a tracestate within the limits is sent on, in its order, from any number of fields",
  SLOW_TEST,
  () => {
    const members = fc.uniqueArray(tracestateMember, {
      selector: (one) => one.split("=")[0],
      maxLength: 32,
    });
    const cut = fc.nat(32);
    fc.assert(
      fc.property(members, cut, fc.constantFrom("", " ", "\t", ",", " , "), (all, at, between) => {
        fc.pre(all.join(",").length <= 512);
        const join = (some: string[]) => some.join(`,${between}`);
        const tracestate = [join(all.slice(0, at)), join(all.slice(at))];
        const sent = relayed(propagator, { traceparent: TRACEPARENT, tracestate }).tracestate;
        expect(sent ?? "").toBe(all.join(","));
      }),
    );
  },
);

test(
  "every entry of a baggage within the limits is sent on with the same meaning",
  SLOW_TEST,
  () => {
    const text = fc.string({ unit: "grapheme", maxLength: 20 });
    const entries = fc.uniqueArray(fc.tuple(token, text), {
      selector: ([key]) => key,
      maxLength: 64,
    });
    // Encodings of other libraries: everything, or only what encodeURIComponent does.
    const all = (value: string) =>
      [...Buffer.from(value)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
    fc.assert(
      fc.property(entries, fc.constantFrom(all, encodeURIComponent), (pairs, encode) => {
        const baggage = pairs.map(([key, value]) => `${key}=${encode(value)}`).join(" , ");
        const sent = relayed(propagator, { baggage }).baggage ?? "";
        fc.pre(baggage.length <= 8192);
        const meant =
          sent === ""
            ? []
            : sent.split(",").map((member) => {
                const [, key, value = ""] = /^([^=]*)=(.*)$/.exec(member) ?? [];
                return [key, decodeURIComponent(value)];
              });
        expect(meant).toEqual(pairs);
      }),
    );
  },
);

test("an application's baggage and a relayed one mean the same", SLOW_TEST, () => {
  const entries = fc.uniqueArray(fc.tuple(token, fc.string({ unit: "binary", maxLength: 20 })), {
    selector: ([key]) => key,
    maxLength: 20,
  });
  fc.assert(
    fc.property(entries, (pairs) => {
      let baggage = propagation.createBaggage();
      for (const [key, value] of pairs) {
        baggage = baggage.setEntry(key, { value, metadata: baggageEntryMetadataFromString("p=1") });
      }
      const sent = injected(propagator, propagation.setBaggage(ROOT_CONTEXT, baggage));
      const context = propagator.extract(ROOT_CONTEXT, sent, plainGetter);
      const arrived = propagation.getBaggage(context)?.getAllEntries() ?? [];
      expect(arrived.map(([key, entry]) => [key, entry.value, entry.metadata?.toString()])).toEqual(
        pairs.map(([key, value]) => [key, wellFormed(value), "p=1"]),
      );
    }),
  );
});

/** The text with U+FFFD for each lone surrogate, as UTF-8 encodes it. */
function wellFormed(text: string): string {
  return Buffer.from(text).toString();
}
