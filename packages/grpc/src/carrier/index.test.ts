import { Metadata } from "@grpc/grpc-js";
import {
  baggageEntryMetadataFromString,
  context,
  createContextKey,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  type TextMapPropagator,
  trace,
} from "@opentelemetry/api";
import { w3cPropagator } from "@traceferry/core";
import { sender } from "@traceferry/testkit";
import { recordSpans } from "@traceferry/testkit/record";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { metadataOf, SLOW_TEST } from "../loopback.test-support.js";
import { extractMetadata, injectMetadata } from "./index.js";

const FIELDS = ["traceparent", "tracestate", "baggage"];

function textOf(codes: { readonly min: number; readonly max: number }): fc.Arbitrary<string> {
  const unit = fc.integer(codes).map((code) => String.fromCharCode(code));
  return fc.string({ unit, maxLength: 12 });
}

function contextOf(from = sender()) {
  const { traceId, spanId } = from;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: 1 });
}

describe("the injected context", () => {
  test("replaces what an earlier trace left, in a clone", () => {
    using _ = recordSpans({ propagator: w3cPropagator() });
    const current = sender();
    const metadata = metadataOf([["x-tenant", "acme"], ...sender().headers, ...sender().headers]);
    const before = structuredClone(metadata.toJSON());

    const sent = injectMetadata(metadata, contextOf(current));

    expect(sent).toBeInstanceOf(Metadata);
    expect(sent.toJSON()).toEqual({ "x-tenant": ["acme"], traceparent: [current.traceparent] });
    expect(metadata.toJSON()).toEqual(before);
  });

  test("is the active context unless another one is given", () => {
    using _ = recordSpans({ propagator: w3cPropagator() });
    const current = sender();

    const sent = context.with(contextOf(current), () => injectMetadata(new Metadata()));

    expect(sent.get("traceparent")).toEqual([current.traceparent]);
  });

  test("is nothing where there is no context: then the clone keeps what was there", () => {
    using _ = recordSpans({ propagator: w3cPropagator() });
    const metadata = metadataOf(sender().headers);

    const sent = injectMetadata(metadata, ROOT_CONTEXT);

    expect(sent.toJSON()).toEqual(metadata.toJSON());
    expect(sent).not.toBe(metadata);
  });

  test("keeps the options of the metadata", () => {
    using _ = recordSpans({ propagator: w3cPropagator() });
    const metadata = new Metadata({ waitForReady: true });

    expect(injectMetadata(metadata, contextOf()).getOptions()).toEqual({ waitForReady: true });
  });

  test("has a space where a propagator writes a tab, which gRPC does not allow", () => {
    using _ = recordSpans({ propagator: writingPropagator({ baggage: "a=1;p=x\ty" }) });

    expect(injectMetadata(new Metadata(), ROOT_CONTEXT).get("baggage")).toEqual(["a=1;p=x y"]);
  });

  test("leaves out, and reports, a field that gRPC does not allow", () => {
    const fields = { "x-trace-bin": "no bytes", traceparent: sender().traceparent };
    using spans = recordSpans({ propagator: writingPropagator(fields) });

    const sent = injectMetadata(new Metadata(), ROOT_CONTEXT);

    expect(sent.toJSON()).toEqual({ traceparent: [fields.traceparent] });
    expect(spans.warnings.join()).toMatch(/grpc: inject: .*-bin/);
  });

  test("can be sent by gRPC, whatever the baggage is", SLOW_TEST, () => {
    using _ = recordSpans();
    const text = textOf({ min: 0, max: 0x2fff });
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text, text), { maxLength: 5 }), (entries) => {
        let baggage = propagation.createBaggage();
        for (const [name, value, property] of entries) {
          const metadata = baggageEntryMetadataFromString(property);
          baggage = baggage.setEntry(name, { value, metadata });
        }
        const from = propagation.setBaggage(contextOf(), baggage);

        const sent = injectMetadata(new Metadata(), from).toJSON();

        expect(sent.traceparent).toHaveLength(1);
        expect(sent.baggage ?? []).toHaveLength(sent.baggage === undefined ? 0 : 1);
        expect(String(sent.baggage ?? "")).toMatch(/^(?:[!-~](?:[ -~]*[!-~])?)?$/);
      }),
    );
  });
});

describe("the extracted context", () => {
  test("is the sender's, in the given context without its own span and baggage", () => {
    using _ = recordSpans({ propagator: w3cPropagator() });
    const from = sender();
    const key = createContextKey("a value of another interceptor");
    const other = propagation.createBaggage({ other: { value: "1" } });
    const base = propagation.setBaggage(contextOf(), other).setValue(key, "kept");

    const extracted = extractMetadata(metadataOf(from.headers), base);

    expect(trace.getSpanContext(extracted)).toMatchObject({
      traceId: from.traceId,
      spanId: from.spanId,
      isRemote: true,
    });
    expect(propagation.getBaggage(extracted)?.getEntry("tenant.id")?.value).toBe("acme");
    expect(propagation.getBaggage(extracted)?.getEntry("other")).toBeUndefined();
    expect(extracted.getValue(key)).toBe("kept");
  });

  test("is the sender's in a handler too, and not the handler's own span", () => {
    using spans = recordSpans({ propagator: w3cPropagator() });
    const from = sender();
    const metadata = metadataOf(from.headers);
    const span = spans.tracer().startSpan("Place", { kind: SpanKind.SERVER }, contextOf(from));

    const extracted = context.with(trace.setSpan(ROOT_CONTEXT, span), () =>
      extractMetadata(metadata),
    );
    span.end();

    expect(trace.getSpanContext(extracted)?.spanId).toBe(from.spanId);
  });

  test("has no sender where none was sent, whatever is active", () => {
    using _ = recordSpans({ propagator: w3cPropagator() });

    const extracted = context.with(contextOf(), () => extractMetadata(new Metadata()));

    expect(trace.getSpanContext(extracted)).toBeUndefined();
  });

  test("has no sender where two were sent", () => {
    using _ = recordSpans({ propagator: w3cPropagator() });
    const metadata = metadataOf([...sender().headers, ...sender().headers]);

    expect(trace.getSpanContext(extractMetadata(metadata))).toBeUndefined();
  });

  test("may come from a propagator that asks for all keys", () => {
    const keys: string[][] = [];
    const keysPropagator: TextMapPropagator = {
      inject: () => undefined,
      extract(from, carrier, getter) {
        keys.push(getter.keys(carrier));
        return from;
      },
      fields: () => [],
    };
    using _ = recordSpans({ propagator: keysPropagator });

    extractMetadata(metadataOf([["x-tenant", "acme"], ...sender().headers]));

    expect(keys).toEqual([["x-tenant", ...FIELDS]]);
  });

  test("is injected again as it was sent", () => {
    using _ = recordSpans({ propagator: w3cPropagator() });
    const from = sender();

    const relayed = injectMetadata(new Metadata(), extractMetadata(metadataOf(from.headers)));

    expect(relayed.toJSON()).toEqual(metadataOf(from.headers).toJSON());
  });

  test("never throws, whatever was sent", SLOW_TEST, () => {
    using _ = recordSpans();
    const value = fc.oneof(
      textOf({ min: 32, max: 126 }),
      fc.constantFrom(...sender().headers.map(([, text]) => text)),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...FIELDS), value)), (headers) => {
        const relayed = injectMetadata(new Metadata(), extractMetadata(metadataOf(headers)));
        for (const field of FIELDS) expect(relayed.get(field).length).toBeLessThan(2);
      }),
    );
  });
});

test("the carrier loads where grpc-js is not installed", SLOW_TEST, async () => {
  vi.resetModules();
  vi.doMock("@grpc/grpc-js", () => {
    throw new Error("grpc-js is not installed here");
  });

  const carrier = await import("./index.js");

  expect(carrier.injectMetadata).toBeTypeOf("function");
  await expect(import("../index.js")).rejects.toThrow();
  vi.doUnmock("@grpc/grpc-js");
});

function writingPropagator(fields: Readonly<Record<string, string>>): TextMapPropagator {
  return {
    inject(_context, carrier, setter) {
      for (const [key, value] of Object.entries(fields)) setter.set(carrier, key, value);
    },
    extract: (from) => from,
    fields: () => Object.keys(fields),
  };
}
