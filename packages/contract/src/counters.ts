import assert from "node:assert/strict";
import { BROKEN_SENDERS, sender } from "@traceferry/testkit";
import type { Adapter, Relation } from "./adapter.js";
import { type Bench, type ContractCase, MINUTE, passOn, scene, sendFrom } from "./fixtures.js";
import { Counts } from "./meters.js";

/** The counters: what became of the sender of each message, and of the context of each. */
export function counting(adapter: Adapter): ContractCase[] {
  return [
    counted(adapter, "a sender that is continued is counted", async (bench, counts) => {
      await passOn(bench, sender().headers);
      assertCounted(counts, bench, "extractions", "continued");
      assertCounted(counts, bench, "injections", "injected");
    }),
    counted(adapter, "a missing sender is counted", async (bench, counts) => {
      await passOn(bench, []);
      assertCounted(counts, bench, "extractions", "missing");
    }),
    counted(adapter, "a broken sender is counted", async (bench, counts) => {
      const { headers } = zeroTraceId;
      await passOn(bench, headers);
      assertCounted(counts, bench, "extractions", "invalid");
    }),
    counted(adapter, "a linked sender is counted", relatedAs("linked"), "link"),
    counted(adapter, "an ignored sender is counted", relatedAs("ignored"), "none"),
    counted(
      adapter,
      "a context that was cut to the budget is counted",
      async (bench, counts) => {
        await passOn(bench, sender().headers);
        assertCounted(counts, bench, "injections", "trimmed");
      },
      "child",
      1,
    ),
    counted(adapter, "a send is counted once", async (bench, counts) => {
      await sendFrom(bench, bench.harness.message([]));
      assertCounted(counts, bench, "injections", "injected");
    }),
  ];
}

const zeroTraceId = BROKEN_SENDERS.find(({ name }) => name === "a zero trace id") ?? {
  headers: [],
};

function relatedAs(outcome: string) {
  return async (bench: Bench, counts: Counts) => {
    await passOn(bench, sender().headers);
    assertCounted(counts, bench, "extractions", outcome);
  };
}

function counted(
  adapter: Adapter,
  title: string,
  body: (bench: Bench, counts: Counts) => Promise<void>,
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
      return scene(adapter, title, (bench) => body(bench, counts), { options, record }).run();
    },
  };
}

function assertCounted(
  counts: Counts,
  { adapter }: Bench,
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
