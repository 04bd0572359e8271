import {
  context,
  propagation,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  trace,
} from "@opentelemetry/api";
import { suppressTracing as stockSuppressTracing } from "@opentelemetry/core";
import type { Sampler } from "@opentelemetry/sdk-trace";
import { describe, expect, test } from "vitest";
import { suppressTracing } from "../context.js";
import {
  injected,
  plainGetter,
  recordSpans,
  SPAN_ID,
  TRACE_ID,
  TRACEPARENT,
} from "../fixtures.test-support.js";
import { w3cPropagator } from "./propagator.js";

const propagator = w3cPropagator();
const extracted = (headers: Record<string, string>, base = ROOT_CONTEXT) =>
  propagator.extract(base, headers, plainGetter);

/** The fields that are sent from within a child span that the real SDK made for these headers. */
function throughSpan(headers: Record<string, string>): Record<string, string> {
  const parent = extracted(headers);
  const span = trace.getTracer("service").startSpan("handle", { kind: SpanKind.SERVER }, parent);
  const sent = injected(propagator, trace.setSpan(parent, span));
  span.end();
  return sent;
}

describe("through a span of the real SDK", () => {
  test.each(["00", "01", "02", "03", "04", "10", "ff"])(
    "flags %s keep their random bit and no reserved one",
    (flags) => {
      using spans = recordSpans();
      const { traceparent = "" } = throughSpan({ traceparent: TRACEPARENT.replace(/01$/, flags) });
      const [, traceId, spanId, out] = traceparent.split("-");
      expect({ traceId, out }).toEqual({
        traceId: TRACE_ID,
        out: `0${Number.parseInt(flags, 16) & 3}`,
      });
      expect(spanId).not.toBe(SPAN_ID);
      // The parent-based default records what its parent sampled.
      expect(spans.ended.map((span) => span.spanContext().spanId)).toEqual(
        Number.parseInt(flags, 16) & 1 ? [spanId] : [],
      );
    },
  );

  test("tracestate and baggage are sent on as they came", () => {
    using _spans = recordSpans();
    const headers = {
      tracestate: "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
      baggage: "tenant.id=acme;p=1,user=%20x",
    };
    expect(throughSpan({ traceparent: TRACEPARENT, ...headers })).toMatchObject(headers);
  });

  test("several calls of one handler have one trace, their own parents and the same random bit", async () => {
    using spans = recordSpans({ propagator });
    const parent = extracted({ traceparent: TRACEPARENT.replace(/01$/, "03") });
    const call = async () => {
      const span = spans.tracer.startSpan("call", { kind: SpanKind.CLIENT });
      await Promise.resolve();
      const sent = injected(propagator, trace.setSpan(context.active(), span)).traceparent;
      span.end();
      return sent;
    };
    const all = await context.with(parent, async () => [
      await call(),
      await call(),
      ...(await Promise.all([call(), call()])),
    ]);
    expect(all.map((one) => one?.replace(/[0-9a-f]{16}-03$/, "…"))).toEqual(
      Array(4).fill(`00-${TRACE_ID}-…`),
    );
    expect(new Set(all).size).toBe(4);
  });

  test("a new trace has the flags its tracer gave it, and no tracestate", () => {
    using _spans = recordSpans();
    expect(Object.keys(throughSpan({}))).toEqual(["traceparent"]);
    expect(throughSpan({}).traceparent).toMatch(/-01$/);
  });
});

describe("a sampler that writes its entry into the tracestate", () => {
  /** As consistent probability samplers do it: their entry is set on the parent's state. */
  const sampler: Sampler = {
    shouldSample(from) {
      const traceState = trace
        .getSpanContext(from)
        ?.traceState?.set("ot", "th:8;rv:abcdef01234567");
      return { decision: 2, ...(traceState && { traceState }) };
    },
    toString: () => "writing",
  };

  test("keeps it where there are 32 already", () => {
    using _spans = recordSpans({ sampler });
    const members = Array.from({ length: 32 }, (_, i) => `k${i}=${i}`);
    const { tracestate } = throughSpan({ traceparent: TRACEPARENT, tracestate: members.join(",") });
    expect(tracestate).toBe(["ot=th:8;rv:abcdef01234567", ...members.slice(0, 31)].join(","));
  });

  test("keeps it where there are 512 characters already", () => {
    using _spans = recordSpans({ sampler });
    const members = Array.from({ length: 5 }, (_, i) => `k${i}=`.padEnd(i === 4 ? 104 : 101, "x"));
    expect(members.join(",")).toHaveLength(512);
    const { tracestate } = throughSpan({ traceparent: TRACEPARENT, tracestate: members.join(",") });
    expect(tracestate).toBe(["ot=th:8;rv:abcdef01234567", ...members.slice(0, 4)].join(","));
  });

  test("replaces an older one of its own", () => {
    using _spans = recordSpans({ sampler });
    const { tracestate } = throughSpan({ traceparent: TRACEPARENT, tracestate: "rojo=1,ot=th:c" });
    expect(tracestate).toBe("ot=th:8;rv:abcdef01234567,rojo=1");
  });
});

describe("where tracing is suppressed", () => {
  test.each([
    ["by the SDK's function", stockSuppressTracing],
    ["by ours", suppressTracing],
  ])("%s nothing is sent", (_, suppress) => {
    using spans = recordSpans();
    const parent = suppress(
      extracted({ traceparent: TRACEPARENT, tracestate: "a=1", baggage: "b=2" }),
    );
    const span = spans.tracer.startSpan("export", {}, parent);
    expect(injected(propagator, trace.setSpan(parent, span))).toEqual({});
    expect(injected(propagator, parent)).toEqual({});
    span.end();
    expect(spans.ended).toEqual([]);
  });
});

describe("with propagation only", () => {
  const headers = {
    traceparent: TRACEPARENT.replace(/01$/, "03"),
    tracestate: "rojo=1,congo=2",
    baggage: "a=1",
  };

  test("a context is relayed unchanged, with its parent", () => {
    using spans = recordSpans({ provider: false, propagator });
    expect(throughSpan(headers)).toEqual(headers);
    expect(spans.ended).toEqual([]);
  });

  test("nothing is sent where nothing came in", () => {
    using _spans = recordSpans({ provider: false, propagator });
    expect(throughSpan({})).toEqual({});
  });
});

test("it works as the global propagator, on plain objects", () => {
  using _spans = recordSpans({ propagator });
  const headers = { traceparent: TRACEPARENT, tracestate: "rojo=1", baggage: "a=1" };
  const out = {};
  propagation.inject(propagation.extract(ROOT_CONTEXT, headers), out);
  expect(out).toEqual(headers);
  expect(propagation.fields()).toEqual(["traceparent", "tracestate", "baggage"]);
});

test("a context rebuilt from the root has lost its random bit: derive from the one that was extracted", () => {
  using spans = recordSpans();
  const parent = extracted({ traceparent: TRACEPARENT.replace(/01$/, "03") });
  const span = spans.tracer.startSpan("handle", {}, parent);
  const flags = (from: typeof parent) =>
    injected(propagator, trace.setSpan(from, span)).traceparent?.slice(-2);
  expect([flags(parent), flags(ROOT_CONTEXT)]).toEqual(["03", "01"]);
  span.end();
});

test("a span context of the SDK is not changed", () => {
  const frozen: SpanContext = Object.freeze({ traceId: TRACE_ID, spanId: SPAN_ID, traceFlags: 1 });
  expect(injected(propagator, trace.setSpanContext(ROOT_CONTEXT, frozen))).toEqual({
    traceparent: TRACEPARENT,
  });
});
