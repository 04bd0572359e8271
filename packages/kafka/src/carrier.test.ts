import { inspect } from "node:util";
import { ROOT_CONTEXT, SpanKind, trace } from "@opentelemetry/api";
import { Boundary, w3cPropagator } from "@traceferry/core";
import { sender } from "@traceferry/testkit/contract";
import { recordSpans } from "@traceferry/testkit/record";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type KafkaHeaders, kafkaGetter, readHeader, withFields } from "./carrier.js";
import { extractHeaders, injectHeaders } from "./index.js";
import { decodeHeaders } from "./kafkajs.test.fake.js";
import { SETTINGS } from "./options.js";

const old = sender().traceparent;
const now = sender().traceparent;
const NO_UTF8 = Buffer.from([0xff, 0xfe]);
const bytes = (text: string) => Buffer.from(text);

describe("the sender is found", () => {
  const forms: Record<string, KafkaHeaders> = {
    "in an object of text": { traceparent: now },
    "in an object of bytes": { traceparent: bytes(now) },
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

test("a header in quotes that is no JSON stays what it is", () => {
  expect(readHeader({ baggage: '"a"b"' }, "baggage")).toBe('"a"b"');
  expect(readHeader({ baggage: '"' }, "baggage")).toBe('"');
});

test("a key repeated a million times costs no stack", () => {
  const many = Array.from({ length: 1_000_000 }, () => "x");
  expect(readHeader({ traceparent: [...many, now] }, "traceparent")).toBe(now);
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
    "stay a list of pairs": {
      before: [
        ["a", "1"],
        ["Tracestate", "old=1"],
      ],
      after: [
        ["a", "1"],
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
        ["traceparent", old],
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

    expect(Object.keys(after)).toEqual(["__proto__", "traceparent"]);
    expect(Object.getPrototypeOf(after)).toBe(Object.prototype);
  });
});

describe("the two functions for code of your own", () => {
  test("carry a trace in a new object and leave the given one alone", () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    const span = spans.tracer().startSpan("place order");
    const given = Object.freeze({ "x-tenant": "acme", tracestate: "old=1" });

    const headers = injectHeaders(given, trace.setSpan(ROOT_CONTEXT, span));
    span.end();

    expect(Object.keys(headers)).toEqual(["x-tenant", "traceparent"]);
    const { traceId, spanId } = span.spanContext();
    expect(trace.getSpanContext(extractHeaders(headers))).toMatchObject({ traceId, spanId });
  });

  test("make headers where there are none", () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    const span = spans.tracer().startSpan("place order");
    const { traceparent } = injectHeaders(undefined, trace.setSpan(ROOT_CONTEXT, span));
    span.end();

    expect(traceparent).toContain(span.spanContext().spanId);
  });

  test("give the same headers back where there is nothing to send", () => {
    const given = { traceparent: old };

    expect(injectHeaders(given)).toBe(given);
    expect(injectHeaders()).toEqual({});
  });

  test("give the base without its span where there is no sender", () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    const span = spans.tracer().startSpan("ambient");
    span.end();

    const read = extractHeaders({ traceparent: "garbage" }, trace.setSpan(ROOT_CONTEXT, span));

    expect(trace.getSpan(read)).toBeUndefined();
  });

  test("give the sender within the span of its record too, and not that span", () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    const from = sender();
    const headers = Object.fromEntries(from.headers);
    const remote = extractHeaders(headers);
    const span = spans.tracer().startSpan("process orders", { kind: SpanKind.CONSUMER }, remote);

    const read = extractHeaders(headers, trace.setSpan(ROOT_CONTEXT, span));
    span.end();

    expect(trace.getSpanContext(read)?.spanId).toBe(from.spanId);
  });
});

test("headers that throw when they are read harm nobody", () => {
  using spans = recordSpans({ propagator: w3cPropagator() });
  const span = spans.tracer().startSpan("place order");
  span.end();
  const headers = {
    get traceparent(): string {
      throw new Error("not today");
    },
    get "x-tenant"(): string {
      throw new Error("not today");
    },
  };

  expect(trace.getSpan(extractHeaders(headers))).toBeUndefined();
  expect(injectHeaders(headers, trace.setSpan(ROOT_CONTEXT, span))).toBe(headers);
});

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

test("headers of any form whatever are read without a throw", () => {
  fc.assert(
    fc.property(strange, (headers) => {
      const read = readHeader(headers, "traceparent");
      if (read !== undefined && typeof read !== "string") throw new Error(`read ${typeof read}`);
      kafkaGetter.keys(headers);
    }),
    { numRuns: 2000 },
  );
});

test("headers of any form that can be written are read back as the last sender's", () => {
  const boundary = new Boundary(SETTINGS, { propagator: w3cPropagator() });
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
      const { sender: found } = boundary.receive(written, kafkaGetter, record, ROOT_CONTEXT);
      expect(found?.traceId).toBe(now.slice(3, 35));
      expect(readHeader(written, "tracestate")).toBeUndefined();
    }),
    { numRuns: 2000 },
  );
});
