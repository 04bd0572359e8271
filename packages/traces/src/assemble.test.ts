import { describe, expect, test } from "vitest";
import { assembleTraces, tracesOf } from "./assemble.js";
import { grpc, SLOW_TEST, SpanFactory } from "./span-factory.test-support.js";
import { countSteps } from "./step-count.test-support.js";

describe("assembling", () => {
  test("a trace has its root, its services in order of first start, and its children in order", () => {
    const spanFactory = new SpanFactory();
    const root = spanFactory.root({ service: "gateway", kind: "SERVER" });
    const late = spanFactory.child(root, { name: "late", at: 20 });
    const [exit, entry] = spanFactory.hop(root, "orders", grpc("shop.Orders/Place"));

    const [trace, ...others] = assembleTraces(spanFactory.spans.toReversed());

    expect(others).toEqual([]);
    expect(trace?.roots).toEqual([root]);
    expect(trace?.orphans).toEqual([]);
    expect(trace?.services).toEqual(["gateway", "orders"]);
    expect(trace?.children.get(root.spanId)).toEqual([exit, late]);
    expect(trace?.children.get(exit.spanId)).toEqual([entry]);
    expect(trace?.spans).toEqual([root, exit, entry, late]);
    expect([trace?.startNs, trace?.endNs]).toEqual([root.startNs, late.endNs]);
  });

  test("a span without its parent is an orphan, not a root", () => {
    const spanFactory = new SpanFactory();
    const root = spanFactory.root({ service: "gateway" });
    const [exit, entry] = spanFactory.hop(root, "orders", grpc("shop.Orders/Place"));

    const [trace] = assembleTraces(spanFactory.spans.filter((span) => span !== exit));

    expect(trace?.roots).toEqual([root]);
    expect(trace?.orphans).toEqual([entry]);
  });

  test("a span that was exported twice counts once", () => {
    const spanFactory = new SpanFactory();
    const root = spanFactory.root({});

    const [trace] = assembleTraces([root, { ...root, receivedAtMs: 5 }]);

    expect(trace?.spans).toEqual([root]);
  });

  test("the earliest trace comes first", () => {
    const spanFactory = new SpanFactory();
    const second = spanFactory.root({ at: 10 });
    const first = spanFactory.root({ at: 5 });

    const ids = assembleTraces(spanFactory.spans).map((trace) => trace.traceId);

    expect(ids).toEqual([first.traceId, second.traceId]);
  });

  test("spans that are each other's parents are cut apart, so that walking them ends", () => {
    const spanFactory = new SpanFactory();
    const a = spanFactory.root({ name: "a" });
    const b = spanFactory.child(a, { name: "b" });
    const circle = [{ ...a, parentSpanId: b.spanId }, b, spanFactory.child(b, { name: "c" })];
    const self = spanFactory.root({ name: "self" });

    const traces = assembleTraces([...circle, { ...self, parentSpanId: self.spanId }]);

    for (const trace of traces) {
      expect(trace.orphans).toHaveLength(1);
      let walked = 0;
      const open = [...trace.roots, ...trace.orphans];
      for (let span = open.pop(); span !== undefined; span = open.pop()) {
        walked += 1;
        open.push(...(trace.children.get(span.spanId) ?? []));
        if (walked > 10) break;
      }
      expect(walked).toBe(trace.spans.length);
    }
  });

  test("spans, one trace and several traces are all taken", () => {
    const spanFactory = new SpanFactory();
    spanFactory.root({});
    const traces = assembleTraces(spanFactory.spans);
    const [trace] = traces;

    expect(tracesOf(spanFactory.spans)).toEqual(traces);
    expect(tracesOf(traces)).toEqual(traces);
    expect(trace && tracesOf(trace)).toEqual(traces);
    expect(tracesOf([])).toEqual([]);
  });

  test("costs in step with the number of spans, in deep traces and in wide ones", SLOW_TEST, () => {
    const traceOf = (size: number) => {
      const spanFactory = new SpanFactory();
      const root = spanFactory.root({ service: "a" });
      for (let index = 0, parent = root; index < size; index += 1) {
        parent = spanFactory.child(parent, { service: index % 2 === 0 ? "b" : "a" });
        spanFactory.child(root, {});
      }
      return spanFactory.spans;
    };

    const small = countSteps(traceOf(100), assembleTraces);
    const large = countSteps(traceOf(1000), assembleTraces);

    expect(large / small).toBeLessThan(15);
  });
});
