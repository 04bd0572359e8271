import {
  type Context,
  createContextKey,
  INVALID_SPAN_CONTEXT,
  propagation,
  ROOT_CONTEXT,
  type SpanContext,
  trace,
} from "@opentelemetry/api";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { suppressTracing } from "../context.js";
import {
  collectWarnings,
  contentsOf,
  injected,
  plainGetter,
  REMOTE,
  relayed,
  SPAN_ID,
  TRACE_ID,
  TRACEPARENT,
} from "../fixtures.test-support.js";
import { w3cPropagator } from "./propagator.js";

const propagator = w3cPropagator();
const IDS = `${TRACE_ID}-${SPAN_ID}`;
const OTHER = TRACEPARENT.replace("0af", "1af");
const latin1 = (text: string) => Buffer.from(text, "latin1");
const bytes = (text: string) => new Uint8Array(Buffer.from(text));

const warnings: string[] = [];
let release = () => {};
beforeEach(() => {
  warnings.length = 0;
  release = collectWarnings(warnings);
});
afterEach(() => release());

describe("a sender is extracted from a traceparent that is", () => {
  test.each<[string, unknown]>([
    ["text", TRACEPARENT],
    ["a Buffer", latin1(TRACEPARENT)],
    ["a Uint8Array", bytes(TRACEPARENT)],
    ["a part of a larger Uint8Array", bytes(`xx${TRACEPARENT}xx`).subarray(2, 57)],
    ["a list of one text", [TRACEPARENT]],
    ["a list of one Buffer", [latin1(TRACEPARENT)]],
    ["a list of one Uint8Array", [bytes(TRACEPARENT)]],
    ["text with blanks and tabs around it", ` \t${TRACEPARENT}\t `],
  ])("%s", (_, traceparent) => {
    const context = propagator.extract(ROOT_CONTEXT, { traceparent }, plainGetter);
    expect(trace.getSpanContext(context)).toEqual(REMOTE);
    expect(relayed(propagator, { traceparent })).toEqual({ traceparent: TRACEPARENT });
  });
});

describe("no sender and no tracestate is extracted from a traceparent that is", () => {
  test.each<[string, unknown]>([
    ["absent", undefined],
    ["null", null],
    ["an empty list", []],
    ["empty", ""],
    ["an empty Buffer", Buffer.alloc(0)],
    ["sent twice", [TRACEPARENT, OTHER]],
    ["sent twice, even alike", [TRACEPARENT, TRACEPARENT]],
    ["sent twice, once as bytes", [TRACEPARENT, bytes(TRACEPARENT)]],
    ["sent twice, once empty", [TRACEPARENT, ""]],
    ["sent twice, once as nothing", [TRACEPARENT, undefined]],
    ["sent twice, in a version that may go on with anything", [`cc-${IDS}-01-x`, TRACEPARENT]],
    ["sent twice and joined with a blank", `${TRACEPARENT}, ${OTHER}`],
    ["sent twice and joined without a blank", `${TRACEPARENT},${TRACEPARENT}`],
    ["a list in a list", [[TRACEPARENT]]],
    ["a number", 42],
    ["an object", { traceparent: TRACEPARENT }],
    ["a String object", Object(TRACEPARENT)],
    ["a function", () => TRACEPARENT],
    ["bytes of which one is beyond ASCII", latin1(TRACEPARENT.replace("-01", "-0\u00e9"))],
    ["bytes with a byte order mark", Buffer.from(`\ufeff${TRACEPARENT}`)],
    ["bytes with a zero at their end", bytes(`${TRACEPARENT}\0`)],
    ["bytes of UTF-16", Buffer.from(TRACEPARENT, "utf16le")],
    ["malformed", `00-${TRACE_ID}-${SPAN_ID}-1`],
    ["a megabyte long", `cc-${IDS}-01-${"x".repeat(1 << 20)}`],
  ])("%s", (_, traceparent) => {
    const headers = { traceparent, tracestate: "a=1" };
    // The context that was given comes back: no new value is stored in it.
    expect(propagator.extract(ROOT_CONTEXT, headers, plainGetter)).toBe(ROOT_CONTEXT);
    expect(relayed(propagator, headers)).toEqual({});
    expect(warnings).toEqual([]);
  });

  test("under a name with a delimiter in it", () => {
    const headers = { "trace-parent": TRACEPARENT, trace_parent: TRACEPARENT };
    expect(relayed(propagator, headers)).toEqual({});
  });
});

describe("flags are sent on as they came in, but for the reserved ones:", () => {
  const versions = ["00", "cc"];
  const flags = ["00", "01", "02", "03", "04", "10", "ff"];
  test.each(versions.flatMap((version) => flags.map((flag) => [version, flag] as const)))(
    "version %s, flags %s",
    (version, flag) => {
      const expected = `00-${IDS}-0${Number.parseInt(flag, 16) & 3}`;
      expect(relayed(propagator, { traceparent: `${version}-${IDS}-${flag}` })).toEqual({
        traceparent: expected,
      });
    },
  );
});

describe("the random flag", () => {
  const extracted = (flags: string, base = ROOT_CONTEXT) =>
    propagator.extract(base, { traceparent: `00-${IDS}-${flags}` }, plainGetter);
  /** A span of the SDK: its flags say nothing but whether it is sampled. */
  const within = (parent: Context, span: Partial<SpanContext> = {}) =>
    injected(
      propagator,
      trace.setSpanContext(parent, {
        traceId: TRACE_ID,
        spanId: "00f067aa0ba902b7",
        traceFlags: 1,
        ...span,
      }),
    ).traceparent?.slice(-2);

  test.each([
    ["set stays set", "03", 1, "03"],
    ["set stays set when the span is not sampled", "03", 0, "02"],
    ["not set stays so", "01", 1, "01"],
    ["not set stays so when the parent was not sampled", "00", 1, "01"],
  ])("%s in a child of the SDK", (_, flags, traceFlags, expected) => {
    expect(within(extracted(flags), { traceFlags })).toBe(expected);
  });

  test("of one trace is not sent for another", () => {
    expect(within(extracted("03"), { traceId: TRACE_ID.replace("0af", "1af") })).toBe("01");
  });

  test("is that of the last message, in the same trace too", () => {
    expect(within(extracted("01", extracted("03")))).toBe("01");
    expect(within(extracted("03", extracted("01")))).toBe("03");
  });

  test("that a tracer sets itself is sent", () => {
    expect(within(ROOT_CONTEXT, { traceFlags: 3 })).toBe("03");
  });

  test("can be cleared for peers that reject it", () => {
    const clearing = w3cPropagator({ randomFlag: "clear" });
    expect(relayed(clearing, { traceparent: `00-${IDS}-03` }).traceparent).toBe(`00-${IDS}-01`);
    expect(relayed(clearing, { traceparent: `00-${IDS}-02` }).traceparent).toBe(`00-${IDS}-00`);
  });

  test("is not read from a foreign value under its key", () => {
    const key = createContextKey("@traceferry/core random flag");
    for (const foreign of ["03", 3, null, {}, { traceId: TRACE_ID }]) {
      expect(within(ROOT_CONTEXT.setValue(key, foreign))).toBe("01");
    }
  });
});

test("the error for a wrong option names it and its value", () => {
  const wrong: Record<string, "keep"> = JSON.parse('{ "randomFlag": "drop" }');
  expect(() => w3cPropagator(wrong)).toThrow(
    new TypeError('option "randomFlag" must be "keep" or "clear", but is \'drop\''),
  );
});

describe("a tracestate is extracted", () => {
  test.each<[string, unknown, string | undefined]>([
    ["in text", "a=1,b=2", "a=1,b=2"],
    ["in a Buffer", Buffer.from("a=1"), "a=1"],
    ["in a list of Buffers", [Buffer.from("a=1"), Buffer.from("b=2")], "a=1,b=2"],
    ["in several fields, in their order", ["a=1", "b=2,c=3", " d=4 "], "a=1,b=2,c=3,d=4"],
    ["in several fields of which one is empty", ["a=1", "", "b=2"], "a=1,b=2"],
    ["in several fields of which one is no text", ["a=1", 5, "b=2"], "a=1,b=2"],
    ["not in bytes beyond ASCII", latin1("a=caf\u00e9"), undefined],
    ["not in an empty list", [], undefined],
    ["not in a number", 5, undefined],
    ["not in blanks and commas", " ,, ", undefined],
    ["not where one member is malformed", "a=1,b", undefined],
  ])("%s", (_, tracestate, expected) => {
    const context = propagator.extract(
      ROOT_CONTEXT,
      { traceparent: TRACEPARENT, tracestate },
      plainGetter,
    );
    // Whatever it is, the traceparent stands; and none is better than an empty one.
    expect(contentsOf(context)).toEqual({ span: `${IDS}-1`, tracestate: expected, baggage: {} });
    expect(injected(propagator, context)).toEqual({
      traceparent: TRACEPARENT,
      ...(expected !== undefined && { tracestate: expected }),
    });
  });

  test("split over any number of fields", () => {
    const all = Array.from({ length: 32 }, (_, i) => `k${i}=${i}`);
    for (let at = 1; at < 32; at++) {
      const tracestate = [all.slice(0, at).join(","), all.slice(at).join(",")];
      expect(relayed(propagator, { traceparent: TRACEPARENT, tracestate }).tracestate).toBe(
        all.join(","),
      );
    }
  });
});

describe("a baggage is extracted", () => {
  test.each<[string, unknown, string | undefined]>([
    ["in text", "a=1,b=2", "a=1,b=2"],
    ["in bytes", bytes("a=1"), "a=1"],
    ["in bytes of UTF-8 that nobody encoded", Buffer.from("a=café"), "a=caf%C3%A9"],
    ["in bytes that are no UTF-8", latin1("a=caf\u00e9"), "a=caf%EF%BF%BD"],
    ["in several fields", ["a=1", Buffer.from("b=2"), "a=3"], "b=2,a=3"],
    ["not in a number", 5, undefined],
    ["not in a list of numbers", [5, 6], undefined],
  ])("%s", (_, baggage, expected) => {
    expect(relayed(propagator, { baggage }).baggage).toBe(expected);
  });

  test("without a traceparent, and beside a broken one", () => {
    expect(relayed(propagator, { baggage: "a=1" })).toEqual({ baggage: "a=1" });
    expect(relayed(propagator, { traceparent: "x", baggage: "a=1" })).toEqual({ baggage: "a=1" });
  });

  test("up to its limits over all fields together", () => {
    const all = Array.from({ length: 70 }, (_, i) => `k${i}=v`);
    const baggage = [all.slice(0, 35).join(","), all.slice(35).join(",")];
    expect(relayed(propagator, { baggage }).baggage).toBe(all.slice(0, 64).join(","));
  });

  test("no baggage leaves the one that is there", () => {
    const base = propagation.setBaggage(
      ROOT_CONTEXT,
      propagation.createBaggage({ a: { value: "1" } }),
    );
    expect(propagator.extract(base, { baggage: ",,;" }, plainGetter)).toBe(base);
  });
});

describe("nothing is sent", () => {
  const withAll = propagator.extract(
    ROOT_CONTEXT,
    { traceparent: TRACEPARENT, tracestate: "a=1", baggage: "b=2" },
    plainGetter,
  );

  test("for an empty context", () => {
    expect(injected(propagator, ROOT_CONTEXT)).toEqual({});
  });

  test("for an invalid span, not even its tracestate", () => {
    const state = trace.getSpanContext(withAll)?.traceState;
    const invalid: SpanContext = { ...INVALID_SPAN_CONTEXT, ...(state && { traceState: state }) };
    expect(injected(propagator, trace.setSpanContext(ROOT_CONTEXT, invalid))).toEqual({});
  });

  test("where tracing is suppressed", () => {
    expect(injected(propagator, suppressTracing(withAll))).toEqual({});
  });

  test("of a baggage without entries", () => {
    const empty = propagation.setBaggage(ROOT_CONTEXT, propagation.createBaggage());
    expect(injected(propagator, empty)).toEqual({});
  });

  test("of a baggage entry whose name cannot be sent, and there is a warning", () => {
    const baggage = propagation.createBaggage({ "user id": { value: "1" }, b: { value: "2" } });
    expect(injected(propagator, propagation.setBaggage(ROOT_CONTEXT, baggage))).toEqual({
      baggage: "b=2",
    });
    expect(warnings.join("\n")).toContain("user id");
  });
});

test("the fields are those that may be written, and the list is the caller's own", () => {
  propagator.fields().push("mine");
  expect(propagator.fields()).toEqual(["traceparent", "tracestate", "baggage"]);
});
