import { baggageEntryMetadataFromString, propagation, ROOT_CONTEXT } from "@opentelemetry/api";
import { describe, expect, test } from "vitest";
import { baggageEntries, SETTINGS, stockPropagator } from "./fixtures.test-support.js";
import {
  createInstrumenter,
  extractFrom,
  HEADERS,
  injectFrom,
} from "./instrumenter.test-support.js";
import type { Relation, TracingOptions } from "./options.js";

describe("incoming baggage is accepted", () => {
  const acme: [string, string] = ["tenant.id", "acme"];
  const user: [string, string] = ["user.id", "7"];

  test.each<[string, Relation, TracingOptions["baggage"], [string, string][]]>([
    ["all with child", "child", true, [acme, user]],
    ["none with child when none is allowed", "child", false, []],
    ["by name with child", "child", ["user.id", "other"], [user]],
    ["none with link", "link", true, []],
    ["none with link when none is allowed", "link", false, []],
    ["by name with link", "link", ["tenant.id"], [acme]],
    ["none with none", "none", true, []],
    ["by name with none", "none", ["tenant.id"], [acme]],
    ["none by names it does not have", "link", ["other"], []],
    ["none by an empty list", "child", [], []],
  ])("%s", (_, relation, baggage = true, expected) => {
    for (const option of [relation, () => relation]) {
      expect(
        baggageEntries(extractFrom(HEADERS, { relation: option, baggage }).extraction.parent),
      ).toEqual(expected);
      // The same without a sender: leaving the traceparent out, or breaking it, gains no trust.
      for (const traceparent of [undefined, "x"]) {
        const { extraction } = extractFrom(
          { ...HEADERS, traceparent },
          { relation: option, baggage },
        );
        expect(baggageEntries(extraction.parent)).toEqual(expected);
      }
    }
  });

  test("in the sender's order, properties included", () => {
    const { extraction } = extractFrom({ baggage: "a=1;p,b=2,c=3;q=4" }, { baggage: ["c", "a"] });
    expect(injectFrom(extraction.parent).fields).toEqual({ baggage: "a=1;p,c=3;q=4" });
  });
});

describe("outgoing baggage is sent", () => {
  test.each<[string, TracingOptions["baggage"], string | undefined]>([
    ["all", true, HEADERS.baggage],
    ["none", false, undefined],
    ["by name", ["user.id"], "user.id=7"],
    ["not by a name that is not there", ["other"], undefined],
  ])("%s", (_, baggage = true, expected) => {
    expect(injectFrom(extractFrom(HEADERS).extraction.parent, { baggage }).fields?.baggage).toBe(
      expected,
    );
  });

  test("within the budget, and the trimming is counted", () => {
    const { fields, injections } = injectFrom(extractFrom(HEADERS).extraction.parent, {
      maxBytes: 105,
    });
    expect(fields).toEqual({ ...HEADERS, baggage: "tenant.id=acme" });
    expect(injections).toEqual([{ boundary: "test", outcome: "trimmed" }]);
  });

  test("within the adapter's own budget when none is given", () => {
    const { instrumenter } = createInstrumenter({}, { ...SETTINGS, maxBytes: 66 });
    expect([
      ...(instrumenter.inject(extractFrom(HEADERS).extraction.parent)?.fields.keys() ?? []),
    ]).toEqual(["traceparent"]);
  });
});

test("properties that an application set are sanitized, by the stock propagator too", () => {
  const baggage = propagation.createBaggage({
    a: { value: "1", metadata: baggageEntryMetadataFromString("p=x\r\ny\tz") },
  });
  const from = propagation.setBaggage(ROOT_CONTEXT, baggage);
  expect(injectFrom(from, { propagator: stockPropagator() }).fields).toEqual({
    baggage: "a=1;p=x%0D%0Ay z",
  });
  expect(injectFrom(from).fields).toEqual({ baggage: "a=1;p=x%0D%0Ay%09z" });
});
