import { metrics, trace } from "@opentelemetry/api";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type RecordedSpans, recordSpans } from "./record.js";

let emitWarning = vi.spyOn(process, "emitWarning");

beforeEach(() => {
  emitWarning = vi.spyOn(process, "emitWarning").mockReturnValue();
});

afterEach(() => {
  emitWarning.mockRestore();
});

describe("a recording that a test left open", () => {
  test("ends where the next one begins, which records", () => {
    const abandoned = testThatTimesOut();

    using spans = recordSpans();
    trace.getTracer("shop").startSpan("place order").end();

    expect(spans.named("place order").scope).toBe("shop");
    expect(abandoned.ended).toEqual([]);
  });

  test("may be disposed late, and the next one goes on", () => {
    const abandoned = testThatTimesOut();
    using spans = recordSpans();

    abandoned[Symbol.dispose]();
    trace.getTracer("shop").startSpan("place order").end();

    expect(spans.named("place order").scope).toBe("shop");
  });

  test("keeps the spans of its own tracer to itself", () => {
    const abandoned = testThatTimesOut();
    using spans = recordSpans();

    abandoned.tracer().startSpan("late").end();

    expect(spans.ended).toEqual([]);
    expect(abandoned.named("late").scope).toBe("test");
  });

  test("causes one warning, which names where both began and the callers", () => {
    testThatTimesOut();
    nextTest()[Symbol.dispose]();
    nextTest()[Symbol.dispose]();

    expect(emitWarning.mock.calls).toEqual([
      [
        expect.stringMatching(
          /begun at testThatTimesOut \(.*open-recording\.test\.ts:\d+:\d+\) .* began at nextTest \(.*open-recording\.test\.ts:\d+/,
        ),
        {
          type: "TraceferryWarning",
          detail: expect.stringMatching(
            /^ {4}at testThatTimesOut \(.*\n {4}at .*open-recording\.test\.ts:\d+:\d+\)?$/,
          ),
        },
      ],
    ]);
  });

  test("causes another warning when its late end leaves the next one open too", () => {
    const first = testThatTimesOut();
    testThatTimesOut();
    first[Symbol.dispose]();

    nextTest()[Symbol.dispose]();

    expect(emitWarning).toHaveBeenCalledTimes(2);
  });
});

test("successive recordings cause no warning, nor does one after a refused recording", () => {
  nextTest()[Symbol.dispose]();
  metrics.setGlobalMeterProvider(metrics.getMeterProvider());
  expect(() => recordSpans({ meterProvider: metrics.getMeterProvider() })).toThrow();
  metrics.disable();
  nextTest()[Symbol.dispose]();

  expect(emitWarning).not.toHaveBeenCalled();
});

function testThatTimesOut(): RecordedSpans {
  return recordSpans();
}

function nextTest(): RecordedSpans {
  return recordSpans();
}
