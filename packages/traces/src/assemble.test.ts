import { describe, expect, test } from "vitest";
import { assembleTraces, tracesOf } from "./assemble.js";
import { Fleet, grpc, slow } from "./span-factory.test-support.js";
import { workOf } from "./work.test-support.js";

describe("assembling", () => {
  test("a trace has its root, its services in order of first start, and its children in order", () => {
    const fleet = new Fleet();
    const root = fleet.root({ service: "gateway", kind: "SERVER" });
    const late = fleet.child(root, { name: "late", at: 20 });
    const [exit, entry] = fleet.hop(root, "orders", grpc("shop.Orders/Place"));

    const [trace, ...others] = assembleTraces(fleet.spans.toReversed());

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
    const fleet = new Fleet();
    const root = fleet.root({ service: "gateway" });
    const [exit, entry] = fleet.hop(root, "orders", grpc("shop.Orders/Place"));

    const [trace] = assembleTraces(fleet.spans.filter((span) => span !== exit));

    expect(trace?.roots).toEqual([root]);
    expect(trace?.orphans).toEqual([entry]);
  });

  test("a span that was exported twice counts once", () => {
    const fleet = new Fleet();
    const root = fleet.root({});

    const [trace] = assembleTraces([root, { ...root, receivedAtMs: 5 }]);

    expect(trace?.spans).toEqual([root]);
  });

  test("the earliest trace comes first", () => {
    const fleet = new Fleet();
    const second = fleet.root({ at: 10 });
    const first = fleet.root({ at: 5 });

    const ids = assembleTraces(fleet.spans).map((trace) => trace.traceId);

    expect(ids).toEqual([first.traceId, second.traceId]);
  });

  test("spans that are each other's parents are cut apart, so that walking them ends", () => {
    const fleet = new Fleet();
    const a = fleet.root({ name: "a" });
    const b = fleet.child(a, { name: "b" });
    const circle = [{ ...a, parentSpanId: b.spanId }, b, fleet.child(b, { name: "c" })];
    const self = fleet.root({ name: "self" });

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
    const fleet = new Fleet();
    fleet.root({});
    const traces = assembleTraces(fleet.spans);
    const [trace] = traces;

    expect(tracesOf(fleet.spans)).toEqual(traces);
    expect(tracesOf(traces)).toEqual(traces);
    expect(trace && tracesOf(trace)).toEqual(traces);
    expect(tracesOf([])).toEqual([]);
  });

  test("costs in step with the number of spans, in deep traces and in wide ones", slow, () => {
    const traceOf = (size: number) => {
      const fleet = new Fleet();
      const root = fleet.root({ service: "a" });
      for (let index = 0, parent = root; index < size; index += 1) {
        parent = fleet.child(parent, { service: index % 2 === 0 ? "b" : "a" });
        fleet.child(root, {});
      }
      return fleet.spans;
    };

    const small = workOf(traceOf(100), assembleTraces);
    const large = workOf(traceOf(1000), assembleTraces);

    expect(large / small).toBeLessThan(15);
  });
});
