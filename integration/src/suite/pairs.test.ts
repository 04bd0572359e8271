import { expect, test } from "vitest";
import { hopsOf } from "../topology/expected-trace.js";
import { type Implementation, implementationsOf, ROLES } from "../topology/roles.js";
import { coveringSet } from "./pairs.test-support.js";

const CHOICES = new Map(
  ROLES.filter(({ option }) => option !== undefined).map((role) => [
    role.name,
    implementationsOf(role),
  ]),
);
const HOPS = hopsOf(false).map(({ from, to }) => [from, to] as const);
const ROWS = coveringSet(CHOICES, HOPS);

test("every two implementations of neighbours meet in some row, except two bare ones", () => {
  const missing = HOPS.flatMap(([from, to]) =>
    offered(from).flatMap((one) =>
      offered(to)
        .filter((other) => one !== "bare" || other !== "bare")
        .filter((other) => !ROWS.some((row) => row[from] === one && row[to] === other))
        .map((other) => `${from} ${one} - ${to} ${other}`),
    ),
  );

  expect(missing).toEqual([]);
});

test("no row has two bare neighbours, and each has an implementation for every role", () => {
  for (const row of ROWS) {
    expect(HOPS.filter(([from, to]) => row[from] === "bare" && row[to] === "bare")).toEqual([]);
    expect(Object.keys(row).sort()).toEqual([...CHOICES.keys()].sort());
  }
});

test("the first row is all ts, and there are few more rows than pairs at one hop", () => {
  expect(new Set(Object.values(ROWS[0] ?? {}))).toEqual(new Set(["ts"]));
  expect(ROWS.length).toBeLessThanOrEqual(20);
});

function offered(role: string): readonly Implementation[] {
  return CHOICES.get(role) ?? [];
}
