import { metrics } from "@opentelemetry/api";
import { describe, expect, test } from "vitest";
import { PropagationCounters } from "./counters.js";
import { CountingMeterProvider } from "./fixtures.test-support.js";
import { VERSION } from "./version.js";

describe("an adapter counts", () => {
  test.each<[string, (counters: PropagationCounters) => void, string, object]>([
    [
      "an extraction",
      (c) => c.countExtraction("continued", undefined),
      "extractions",
      { outcome: "continued" },
    ],
    [
      "an extraction with its reason",
      (c) => c.countExtraction("invalid", "repeated"),
      "extractions",
      { outcome: "invalid", reason: "repeated" },
    ],
    ["an injection", (c) => c.countInjection("trimmed"), "injections", { outcome: "trimmed" }],
    ["a fault", (c) => c.countFault("inject"), "faults", { operation: "inject" }],
  ])("%s", (_, count, name, attributes) => {
    const provider = new CountingMeterProvider();
    count(new PropagationCounters("kafka", provider));
    // Strictly equal: a missing reason adds no attribute, not one without a value.
    expect(provider.counted).toStrictEqual([
      { name: `traceferry.${name}`, value: 1, attributes: { boundary: "kafka", ...attributes } },
    ]);
  });
});

test("the instruments have units and descriptions, are made once, and name their meter", () => {
  const provider = new CountingMeterProvider();
  const counters = new PropagationCounters("kafka", provider);
  for (let i = 0; i < 3; i++) {
    counters.countExtraction("missing", undefined);
    counters.countInjection("empty");
    counters.countFault("extract");
  }
  expect(provider.instruments).toEqual([
    {
      name: "traceferry.extractions",
      unit: "{message}",
      description: expect.stringContaining("Incoming messages"),
    },
    {
      name: "traceferry.injections",
      unit: "{message}",
      description: expect.stringContaining("Outgoing messages"),
    },
    {
      name: "traceferry.faults",
      unit: "{fault}",
      description: expect.stringContaining("Faults"),
    },
  ]);
  expect(new Set(provider.meters)).toEqual(new Set([`@traceferry/core ${VERSION}`]));
  expect(provider.counted).toHaveLength(9);
});

test("each outcome is counted with its own reason", () => {
  const provider = new CountingMeterProvider();
  const counters = new PropagationCounters("kafka", provider);
  const reasons = ["repeated", undefined, "format", "repeated"];
  for (const reason of reasons) counters.countExtraction("invalid", reason);
  expect(provider.of("extractions").map((attributes) => attributes?.reason)).toEqual(reasons);
});

test("counting the same again allocates nothing: the attributes are one object", () => {
  const provider = new CountingMeterProvider();
  const counters = new PropagationCounters("kafka", provider);
  for (let i = 0; i < 3; i++) {
    counters.countExtraction("invalid", "repeated");
    counters.countInjection("injected");
  }
  expect(new Set(provider.of("extractions")).size).toBe(1);
  expect(new Set(provider.of("injections")).size).toBe(1);
});

test("without a provider nothing is counted, and nothing is thrown", () => {
  expect(() =>
    new PropagationCounters("kafka").countExtraction("continued", undefined),
  ).not.toThrow();
});

test("a global provider that is registered later, or removed, is noticed", () => {
  const counters = new PropagationCounters("kafka");
  const provider = new CountingMeterProvider();
  counters.countInjection("empty");
  {
    using _registered = provider.registered();
    counters.countInjection("injected");
  }
  counters.countInjection("empty");
  expect(provider.of("injections")).toEqual([{ boundary: "kafka", outcome: "injected" }]);
  expect(metrics.getMeterProvider()).not.toBe(provider);
});

test("the provider of the options counts instead of the global one", () => {
  const [configured, global] = [new CountingMeterProvider(), new CountingMeterProvider()];
  using _registered = global.registered();
  new PropagationCounters("kafka", configured).countFault("extract");
  expect([configured.counted.length, global.counted.length]).toEqual([1, 0]);
});

test("a provider that throws harms nothing", () => {
  const boom = (): never => {
    throw new Error("on purpose");
  };
  const counters = new PropagationCounters("kafka", { getMeter: boom });
  expect(() => {
    counters.countExtraction("continued", undefined);
    counters.countInjection("empty");
    counters.countFault("extract");
  }).not.toThrow();
});
