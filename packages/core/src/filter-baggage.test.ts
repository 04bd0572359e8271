import { createContextKey, propagation, ROOT_CONTEXT } from "@opentelemetry/api";
import { expect, test } from "vitest";
import { filterBaggage } from "./filter-baggage.js";
import { entriesOf } from "./fixtures.test-support.js";

const KEY = createContextKey("@traceferry/core test");
const bare = ROOT_CONTEXT.setValue(KEY, "mine");
const full = propagation.setBaggage(
  bare,
  propagation.createBaggage({ a: { value: "1" }, b: { value: "2" }, c: { value: "3" } }),
);

test.each<[string, boolean | readonly string[], [string, string][] | undefined]>([
  ["none may", false, undefined],
  ["an empty list may", [], undefined],
  ["only others may", ["x"], undefined],
  [
    "some may",
    ["c", "x", "a"],
    [
      ["a", "1"],
      ["c", "3"],
    ],
  ],
])(
  "what is left of a baggage when %s, beside all else that a context holds",
  (_, allowed, left) => {
    const filtered = filterBaggage(full, allowed);
    // No baggage at all, rather than an empty one.
    expect(propagation.getBaggage(filtered) && entriesOf(filtered)).toEqual(left);
    expect(filtered.getValue(KEY)).toBe("mine");
    expect(entriesOf(full)).toHaveLength(3);
  },
);

test.each<[string, boolean | readonly string[]]>([
  ["all may", true],
  ["each is named", ["c", "b", "a", "x"]],
])(
  "a context whose baggage may stay is the same when %s: it is sent on as it came",
  (_, allowed) => {
    expect(filterBaggage(full, allowed)).toBe(full);
  },
);

test.each<[string, boolean | readonly string[]]>([
  ["all may", true],
  ["none may", false],
  ["an empty list may", []],
  ["some may", ["a"]],
])("a context without baggage is the same when %s", (_, allowed) => {
  expect(filterBaggage(bare, allowed)).toBe(bare);
});
