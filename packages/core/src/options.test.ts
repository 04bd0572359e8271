import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { CountingMeterProvider, SETTINGS, stockPropagator } from "./fixtures.test-support.js";
import { Instrumenter } from "./instrumenter.js";
import { checkOptions } from "./options.js";
import { VERSION } from "./version.js";

/** Options as JavaScript may give them. */
const check = (options: Record<string, unknown>) => () => checkOptions(Object(options));

test.each<[string, Record<string, unknown>]>([
  ["nothing", {}],
  [
    "every option undefined",
    {
      relation: undefined,
      baggage: undefined,
      maxBytes: undefined,
      propagator: undefined,
      tracerProvider: undefined,
      meterProvider: undefined,
    },
  ],
  ["each relation", { relation: "link" }],
  ["a function of the message", { relation: () => "none" }],
  ["all baggage", { baggage: true }],
  ["no baggage", { baggage: false }],
  ["a list of names", { baggage: ["tenant.id"] }],
  ["an empty list of names", { baggage: [] }],
  ["a budget", { maxBytes: 1 }],
  ["no budget", { maxBytes: Number.POSITIVE_INFINITY }],
  [
    "providers and a propagator",
    {
      meterProvider: new CountingMeterProvider(),
      propagator: stockPropagator(),
      tracerProvider: { getTracer() {} },
    },
  ],
])("%s is accepted", (_, options) => {
  expect(check(options)).not.toThrow();
});

test.each<[string, unknown, string]>([
  ["relation", "parent", 'must be "child", "link", "none" or a function, but is \'parent\''],
  ["relation", null, 'must be "child", "link", "none" or a function, but is null'],
  ["baggage", "tenant.id", "must be true, false or a list of names, but is 'tenant.id'"],
  [
    "baggage",
    ["tenant.id", 5],
    "must be true, false or a list of names, but is [ 'tenant.id', 5 ]",
  ],
  ["baggage", null, "must be true, false or a list of names, but is null"],
  ["maxBytes", 0, "must be a number above 0, or Infinity, but is 0"],
  ["maxBytes", -1, "must be a number above 0, or Infinity, but is -1"],
  ["maxBytes", Number.NaN, "must be a number above 0, or Infinity, but is NaN"],
  ["maxBytes", "4096", "must be a number above 0, or Infinity, but is '4096'"],
  ["propagator", {}, "must be a TextMapPropagator, but is {}"],
  ["propagator", null, "must be a TextMapPropagator, but is null"],
  [
    "propagator",
    { inject() {}, fields() {} },
    "must be a TextMapPropagator, but is { inject: [Function: inject], fields: [Function: fields] }",
  ],
  [
    "propagator",
    { inject() {}, extract() {} },
    "must be a TextMapPropagator, but is { inject: [Function: inject], extract: [Function: extract] }",
  ],
  ["tracerProvider", "global", "must be a TracerProvider, but is 'global'"],
  ["meterProvider", null, "must be a MeterProvider, but is null"],
])("the error for a wrong %s, %o, names it and its value", (name, value, message) => {
  expect(check({ [name]: value })).toThrow(new TypeError(`option "${name}" ${message}`));
});

test("a wrong option is an error at set-up", () => {
  expect(() => new Instrumenter(SETTINGS, Object({ relation: "parent" }))).toThrow(TypeError);
});

test("options that are no object are an error too", () => {
  for (const options of [null, "child", 5]) {
    expect(() => new Instrumenter(SETTINGS, Object({ options }).options)).toThrow(
      /^options must be an object, but is /,
    );
  }
});

test("the error cuts a long value", () => {
  expect(check({ relation: "x".repeat(10_000) })).toThrow(/^.{1,300}$/s);
});

test("the version is the package's", () => {
  const manifest = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  expect(manifest).toContain(`"version": "${VERSION}"`);
});
