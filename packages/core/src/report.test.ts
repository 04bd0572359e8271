import { diag } from "@opentelemetry/api";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { PropagationCounters } from "./counters.js";
import { CountingMeterProvider, collectWarnings } from "./fixtures.test-support.js";
import { Reporter } from "./report.js";

const warnings: string[] = [];
let release = () => {};
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
  warnings.length = 0;
  release = collectWarnings(warnings);
});
afterEach(() => {
  release();
  vi.useRealTimers();
});

describe("a fault", () => {
  test("is warned of with the adapter's name, the operation, and the error", () => {
    new Reporter("kafka").fault("extract", new RangeError("on purpose"));
    expect(warnings).toEqual(["traceferry kafka: extract: RangeError: on purpose"]);
  });

  test("is warned of at most once a minute, and again after that", () => {
    const reporter = new Reporter("kafka");
    // The first minute of a process, and later ones: its clock has no special start.
    for (let minute = 1; minute <= 3; minute++) {
      for (let i = 0; i < 1000; i++) reporter.fault("extract", `minute ${minute}`);
      vi.advanceTimersByTime(59_999);
      reporter.fault("extract", "too soon");
      vi.advanceTimersByTime(1);
    }
    expect(warnings).toEqual([
      "traceferry kafka: extract: minute 1",
      "traceferry kafka: extract: minute 2",
      "traceferry kafka: extract: minute 3",
    ]);
  });

  test("in another operation is warned of beside it", () => {
    const reporter = new Reporter("kafka");
    reporter.fault("extract", "broken");
    reporter.fault("inject", "broken");
    expect(warnings).toEqual([
      "traceferry kafka: extract: broken",
      "traceferry kafka: inject: broken",
    ]);
  });

  test("is counted each time", () => {
    const provider = new CountingMeterProvider();
    const reporter = new Reporter("kafka", new PropagationCounters("kafka", provider));
    for (let i = 0; i < 3; i++) reporter.fault("extract", "broken");
    expect(provider.of("faults")).toEqual(
      Array(3).fill({ boundary: "kafka", operation: "extract" }),
    );
  });

  test.each<[string, unknown, string]>([
    ["a text", "broken", "broken"],
    ["nothing", undefined, "undefined"],
    ["a symbol", Symbol("x"), "Symbol(x)"],
    ["an object that cannot be shown", Object.create(null), "something that cannot be shown"],
    [
      "a quoted header of several lines",
      "bad header: a\r\nGET / \u001b[31m\u2028x",
      "bad header: a  GET /  [31m x",
    ],
    ["a quoted header of a megabyte", "x".repeat(1 << 20), "x".repeat(300)],
  ])("may be %s", (_, problem, shown) => {
    new Reporter("kafka").fault("extract", problem);
    expect(warnings).toEqual([`traceferry kafka: extract: ${shown}`]);
  });

  test("in ever new operations takes no more memory than in a hundred", () => {
    const reporter = new Reporter("kafka");
    for (let i = 0; i < 100; i++) reporter.fault(`operation ${i}`, "broken");
    reporter.fault("operation 0", "broken");
    expect(warnings).toHaveLength(100);
    reporter.fault("operation 100", "broken");
    reporter.fault("operation 0", "broken");
    expect(warnings).toHaveLength(102);
  });

  test("is not thrown by a logger that throws", () => {
    const boom = (): never => {
      throw new Error("on purpose");
    };
    diag.setLogger(
      { error: boom, warn: boom, info: boom, debug: boom, verbose: boom },
      { suppressOverrideMessage: true },
    );
    expect(() => new Reporter("kafka").fault("extract", "broken")).not.toThrow();
  });
});

describe("a warning that comes once", () => {
  test("is not repeated, however much time passes, and counts no fault", () => {
    const provider = new CountingMeterProvider();
    const reporter = new Reporter("kafka", new PropagationCounters("kafka", provider));
    for (let i = 0; i < 3; i++) {
      reporter.once("inject", "no propagator");
      vi.advanceTimersByTime(24 * 60 * 60_000);
    }
    expect(warnings).toEqual(["traceferry kafka: inject: no propagator"]);
    expect(provider.counted).toEqual([]);
  });

  test("comes beside a fault in the same operation, before it or after", () => {
    const reporter = new Reporter("kafka");
    reporter.fault("inject", "broken");
    reporter.once("inject", "no propagator");
    reporter.once("extract", "no propagator");
    reporter.fault("extract", "broken");
    expect(warnings.map((line) => line.replace("traceferry kafka: ", ""))).toEqual([
      "inject: broken",
      "inject: no propagator",
      "extract: no propagator",
      "extract: broken",
    ]);
  });

  test("in ever new operations comes a hundred times at most", () => {
    const reporter = new Reporter("kafka");
    for (let i = 0; i < 102; i++) reporter.once(`operation ${i}`, "wrong set-up");
    expect(warnings).toHaveLength(100);
    expect(warnings.at(-1)).toBe("traceferry kafka: operation 99: wrong set-up");
  });

  test("comes from each adapter", () => {
    for (const name of ["kafka", "grpc"]) new Reporter(name).once("inject", "no propagator");
    expect(warnings).toHaveLength(2);
  });
});
