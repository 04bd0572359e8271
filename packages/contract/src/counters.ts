import assert from "node:assert/strict";
import { brokenSenders, sender } from "@traceferry/testkit";
import type { Adapter, Relation } from "./adapter.js";
import {
  type ContractCase,
  contractCase,
  type Fixtures,
  MINUTE,
  passOn,
  sendFrom,
} from "./fixtures.js";
import { Counts } from "./meters.js";

/** The counters: what became of the sender of each message, and of the context of each. */
export function counters(adapter: Adapter): ContractCase[] {
  return [
    counted(adapter, "a sender that is continued is counted", async (fixtures, counts) => {
      await passOn(fixtures, sender().headers);
      assertCounted(counts, fixtures, "extractions", "continued");
      assertCounted(counts, fixtures, "injections", "injected");
    }),
    counted(adapter, "a missing sender is counted", async (fixtures, counts) => {
      await passOn(fixtures, []);
      assertCounted(counts, fixtures, "extractions", "missing");
    }),
    counted(adapter, "a broken sender is counted", async (fixtures, counts) => {
      const { headers } = zeroTraceId;
      await passOn(fixtures, headers);
      assertCounted(counts, fixtures, "extractions", "invalid");
    }),
    counted(adapter, "a linked sender is counted", relatedAs("linked"), "link"),
    counted(adapter, "an ignored sender is counted", relatedAs("ignored"), "none"),
    counted(
      adapter,
      "a context that was cut to the budget is counted",
      async (fixtures, counts) => {
        await passOn(fixtures, sender().headers);
        assertCounted(counts, fixtures, "injections", "trimmed");
      },
      "child",
      1,
    ),
    counted(adapter, "a send is counted once", async (fixtures, counts) => {
      await sendFrom(fixtures, fixtures.harness.message([]));
      assertCounted(counts, fixtures, "injections", "injected");
    }),
  ];
}

const zeroTraceId = brokenSenders.find(({ name }) => name === "a zero trace id") ?? { headers: [] };

function relatedAs(outcome: string) {
  return async (fixtures: Fixtures, counts: Counts) => {
    await passOn(fixtures, sender().headers);
    assertCounted(counts, fixtures, "extractions", outcome);
  };
}

function counted(
  adapter: Adapter,
  title: string,
  body: (fixtures: Fixtures, counts: Counts) => Promise<void>,
  relation: Relation = "child",
  maxBytes?: number,
): ContractCase {
  return {
    title,
    timeout: MINUTE,
    run() {
      const counts = new Counts();
      const options = { relation, ...(maxBytes !== undefined && { maxBytes }) };
      const record = { meterProvider: counts };
      return contractCase(adapter, title, (fixtures) => body(fixtures, counts), {
        options,
        record,
      }).run();
    },
  };
}

function assertCounted(
  counts: Counts,
  { adapter }: Fixtures,
  what: "extractions" | "injections",
  outcome: string,
): void {
  const name = `traceferry.${what}`;
  const all = counts.of(name, adapter.name);
  const told = `counted: ${counts.toString() || "nothing"}`;
  assert.equal(
    counts.of(name, adapter.name, { outcome }),
    1,
    `${name}{outcome=${outcome}}; ${told}`,
  );
  assert.equal(all, 1, `${name} for one message; ${told}`);
}
