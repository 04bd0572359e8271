import { expect, test } from "vitest";
import { readConfig } from "./config.js";

test("a role is traced by our adapters unless INSTRUMENTATION is stock", () => {
  expect(readConfig({}).INSTRUMENTATION).toBe("traceferry");
  expect(readConfig({ INSTRUMENTATION: "stock" }).INSTRUMENTATION).toBe("stock");
  expect(() => readConfig({ INSTRUMENTATION: "none" })).toThrow(
    /^wrong configuration: INSTRUMENTATION: /,
  );
});

test("a stock gateway rejects settings that its instrumentation cannot follow", () => {
  const stock = { INSTRUMENTATION: "stock" };

  expect(readConfig({ ...stock, EDGE_RELATION: "child" }).EDGE_RELATION).toBe("child");
  expect(() => readConfig({ ...stock, EDGE_RELATION: "link", EDGE_BAGGAGE: "tenant" })).toThrow(
    /EDGE_RELATION: instrumentation-http .*; EDGE_BAGGAGE: instrumentation-http /,
  );
});

test.each([
  [undefined, undefined],
  ["", []],
  ["tenant", ["tenant"]],
  [" tenant, region ,,", ["tenant", "region"]],
])("EDGE_BAGGAGE %j accepts the keys %j", (value, keys) => {
  expect(readConfig({ EDGE_BAGGAGE: value }).EDGE_BAGGAGE).toEqual(keys);
});
