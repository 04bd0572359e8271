import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SLOW_TEST } from "../span-factory.test-support.js";
import { decodeTraces, OtlpDecodeError } from "./index.js";
import {
  attribute,
  bytes,
  fixed32,
  fixed64,
  group,
  ids,
  jsonRequest,
  message,
  request,
  SPAN_ID,
  TRACE_ID,
  text,
  varint,
} from "./request.test-support.js";

describe("protobuf", () => {
  test("unknown fields, unexpected wire types and groups are skipped", () => {
    const span = message(
      text(99, "unknown"),
      group(77),
      ...ids(),
      varint(5, 3),
      text(5, "name"),
      varint(16, 1),
      fixed64(17, 1n),
    );

    const { spans } = decodeTraces(message(group(9), bytes(1, only(request(span)))), "protobuf", 7);

    expect(spans).toMatchObject([
      { traceId: TRACE_ID, spanId: SPAN_ID, name: "name", flags: undefined },
    ]);
  });

  test("a span without flags, times or kind has none", () => {
    const { spans } = decodeTraces(request(message(...ids())), "protobuf", 7);

    expect(spans).toMatchObject([
      {
        kind: "UNSPECIFIED",
        flags: undefined,
        startNs: 0n,
        endNs: 0n,
        parentSpanId: undefined,
        status: { code: "UNSET" },
        scope: { name: "test-scope", version: undefined },
        instance: undefined,
        receivedAtMs: 7,
      },
    ]);
  });

  test("the kinds are OTLP's numbers, not the API's", () => {
    const spans = [0, 1, 2, 3, 4, 5, 6].map((kind) => message(...ids(), varint(6, kind)));

    const kinds = decodeTraces(request(...spans), "protobuf", 7).spans.map((span) => span.kind);

    expect(kinds.join()).toBe("UNSPECIFIED,INTERNAL,SERVER,CLIENT,PRODUCER,CONSUMER,UNSPECIFIED");
  });

  test("every type of attribute keeps its value", () => {
    const map = message(bytes(1, attribute("inner", message(varint(3, 1)))));
    const values: Readonly<Record<string, Uint8Array>> = {
      text: message(text(1, "ü")),
      no: message(varint(2, 0)),
      small: message(varint(3, -5)),
      large: message(varint(3, 2n ** 60n)),
      bytes: message(bytes(7, Uint8Array.of(1, 2))),
      list: message(bytes(5, message(bytes(1, message(text(1, "a")))))),
      map: message(bytes(6, map)),
      nothing: message(),
      ["__proto__"]: message(text(1, "harmless")),
    };
    const span = message(
      ...ids(),
      ...Object.entries(values).map(([key, value]) => bytes(9, attribute(key, value))),
    );

    const [decoded] = decodeTraces(request(span), "protobuf", 7).spans;

    expect(Object.entries(decoded?.attributes ?? {})).toEqual([
      ["text", "ü"],
      ["no", false],
      ["small", -5],
      ["large", 2n ** 60n],
      ["bytes", Uint8Array.of(1, 2)],
      ["list", ["a"]],
      ["map", { inner: 1 }],
      ["nothing", undefined],
      ["__proto__", "harmless"],
    ]);
  });

  test("a span with a malformed id is rejected, the others are kept", () => {
    const spans = [
      message(...ids("00".repeat(16))),
      message(...ids()),
      message(...ids("0af7")),
      message(...ids(), bytes(4, Uint8Array.of(1))),
    ];

    const decoded = decodeTraces(request(...spans), "protobuf", 7);

    expect(decoded.spans).toHaveLength(1);
    expect(decoded.rejected).toBe(3);
    expect(decoded.reason).toContain("00000000000000000000000000000000");
  });

  test("a parent id of zeros is no parent", () => {
    const span = message(...ids(), bytes(4, new Uint8Array(8)));

    expect(decodeTraces(request(span), "protobuf", 7).spans).toMatchObject([
      { parentSpanId: undefined },
    ]);
  });

  test("a request that is cut off anywhere is refused or has fewer spans, and never throws anything else", () => {
    const span = message(...ids(), text(5, "name"), fixed64(7, 5n), fixed32(16, 0x101));
    const whole = request(span, span);

    for (let length = 0; length < whole.length; length += 1) {
      expect(outcomeOf(whole.subarray(0, length), "protobuf")).toMatch(/refused|decoded [01]/);
    }
    expect(outcomeOf(whole, "protobuf")).toBe("decoded 2");
  });

  test("values nested too deeply are refused without a stack overflow", SLOW_TEST, () => {
    let value = message(text(1, "deep"));
    for (let depth = 0; depth < 5000; depth += 1)
      value = message(bytes(5, message(bytes(1, value))));
    const span = message(...ids(), bytes(9, attribute("deep", value)));

    expect(() => decodeTraces(request(span), "protobuf", 7)).toThrow(/more than 100 messages/);
  });
});

describe("JSON", () => {
  test("ids are hex in either case, integers are numbers or text", () => {
    const { spans } = decodeTraces(
      jsonRequest({
        traceId: TRACE_ID.toUpperCase(),
        startTimeUnixNano: "1767225600123456789",
        endTimeUnixNano: 1_767_225_600_000_000,
        flags: "769",
        kind: 2,
        attributes: [
          { key: "text", value: { intValue: "42" } },
          { key: "number", value: { intValue: 42 } },
          { key: "large", value: { intValue: "1152921504606846976" } },
          { key: "fraction", value: { doubleValue: 0.5 } },
          { key: "notANumber", value: { doubleValue: "NaN" } },
          { key: "bytes", value: { bytesValue: "AQI=" } },
          { key: "list", value: { arrayValue: { values: [{ boolValue: true }, {}] } } },
          { key: "map", value: { kvlistValue: { values: [{ key: "a", value: null }] } } },
        ],
      }),
      "json",
      7,
    );

    expect(spans).toMatchObject([
      {
        traceId: TRACE_ID,
        spanId: SPAN_ID,
        kind: "SERVER",
        flags: 0x301,
        service: "shop",
        startNs: 1_767_225_600_123_456_789n,
        endNs: 1_767_225_600_000_000n,
        attributes: {
          text: 42,
          number: 42,
          large: 2n ** 60n,
          fraction: 0.5,
          notANumber: Number.NaN,
          bytes: Uint8Array.of(1, 2),
          list: [true, undefined],
          map: { a: undefined },
        },
      },
    ]);
  });

  test("unknown fields and nulls are skipped", () => {
    const { spans } = decodeTraces(
      jsonRequest({ unknown: { a: 1 }, events: null, links: undefined, status: null }),
      "json",
      7,
    );

    expect(spans).toMatchObject([{ events: [], links: [], status: { code: "UNSET" } }]);
  });

  test("links and events are read", () => {
    const { spans } = decodeTraces(
      jsonRequest({
        links: [
          { traceId: TRACE_ID, spanId: SPAN_ID.toUpperCase(), traceState: "a=1", flags: 769 },
        ],
        events: [{ name: "exception", timeUnixNano: "5", attributes: [] }],
        status: { code: 2, message: "broke" },
      }),
      "json",
      7,
    );

    expect(spans).toMatchObject([
      {
        links: [
          { traceId: TRACE_ID, spanId: SPAN_ID, traceState: "a=1", flags: 769, attributes: {} },
        ],
        events: [{ name: "exception", timeNs: 5n }],
        status: { code: "ERROR", message: "broke" },
      },
    ]);
  });

  test.each([
    ["no JSON", "{"],
    ["a list", "[]"],
    ["a number", "5"],
    ["resourceSpans that are no list", '{"resourceSpans":{}}'],
    ["spans that are no objects", '{"resourceSpans":[{"scopeSpans":[{"spans":[5]}]}]}'],
    ["a name that is no text", String(jsonRequest({ name: 5 }))],
    ["a time that is no integer", String(jsonRequest({ startTimeUnixNano: "soon" }))],
    ["a negative time", String(jsonRequest({ startTimeUnixNano: "-1" }))],
    ["deep values", String(jsonRequest({ attributes: [{ key: "a", value: deepValue(500) }] }))],
    ["very deep values", `${'{"a":'.repeat(200_000)}1${"}".repeat(200_000)}`],
  ])("%s is refused or skipped", (_, body) => {
    expect(outcomeOf(Buffer.from(body), "json")).toMatch(/refused|decoded 0/);
  });
});

describe("arbitrary bytes", () => {
  const encoding = fc.constantFrom("protobuf" as const, "json" as const);

  test("are decoded or refused", SLOW_TEST, () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), encoding, (body, format) => {
        outcomeOf(body, format);
      }),
    );
  });

  test("arbitrary JSON is decoded or refused", SLOW_TEST, () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        outcomeOf(Buffer.from(JSON.stringify({ resourceSpans: value })), "json");
        outcomeOf(Buffer.from(JSON.stringify({ resourceSpans: [value] })), "json");
        outcomeOf(jsonRequest({ attributes: value, links: [value], flags: value }), "json");
        outcomeOf(jsonRequest({ attributes: [{ key: "a", value }] }), "json");
      }),
    );
  });

  test("a good request with some bytes changed is decoded or refused", SLOW_TEST, () => {
    const span = message(
      ...ids(),
      text(5, "name"),
      bytes(9, attribute("key", message(bytes(5, message(bytes(1, message(varint(3, 5)))))))),
      bytes(13, message(...ids())),
    );
    const good = request(span);
    const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 5 }), (changes) => {
        const body = Uint8Array.from(good);
        for (const [index, value] of changes) body[index] = value;
        outcomeOf(body, "protobuf");
      }),
      { numRuns: 1000 },
    );
  });
});

/** Decodes the bytes; rethrows any error but a decode error. */
function outcomeOf(body: Uint8Array, encoding: "protobuf" | "json"): string {
  try {
    return `decoded ${decodeTraces(body, encoding, 7).spans.length}`;
  } catch (error) {
    if (error instanceof OtlpDecodeError) return `refused: ${error.message}`;
    throw error;
  }
}

/** The content of a request's only field. */
function only(body: Uint8Array): Uint8Array {
  return body.subarray(body.length < 130 ? 2 : 3);
}

function deepValue(depth: number): unknown {
  let value: unknown = { stringValue: "deep" };
  for (let index = 0; index < depth; index += 1) value = { arrayValue: { values: [value] } };
  return value;
}
