import assert from "node:assert/strict";
import { BROKEN_SENDERS, sender } from "@traceferry/testkit";
import type { Adapter, AdapterOptions } from "./adapter.js";
import { type ContractCase, contractCase, type Fixtures, MINUTE } from "./fixtures.js";
import { receiveAndSend, sendInSpan } from "./messages.js";
import { CountingMeterProvider } from "./meters.js";

const ZERO_TRACE_ID = BROKEN_SENDERS.find(({ name }) => name === "a zero trace id") ?? {
  headers: [],
};

/** The counters `traceferry.extractions` and `traceferry.injections`: one of each per message. */
export function counters(adapter: Adapter): ContractCase[] {
  return [
    counted(adapter, "a continued sender is counted", async (fixtures, counts) => {
      await receiveAndSend(fixtures, sender().headers);
      assertCountedOnce(counts, fixtures, "extractions", "continued");
      assertCountedOnce(counts, fixtures, "injections", "injected");
    }),
    counted(adapter, "a missing sender is counted", async (fixtures, counts) => {
      await receiveAndSend(fixtures, []);
      assertCountedOnce(counts, fixtures, "extractions", "missing");
    }),
    counted(adapter, "an invalid sender is counted", async (fixtures, counts) => {
      await receiveAndSend(fixtures, ZERO_TRACE_ID.headers);
      assertCountedOnce(counts, fixtures, "extractions", "invalid");
    }),
    counted(adapter, "a linked sender is counted", extractionCountedAs("linked"), {
      relation: "link",
    }),
    counted(adapter, "an ignored sender is counted", extractionCountedAs("ignored"), {
      relation: "none",
    }),
    counted(
      adapter,
      "a context that was trimmed to the budget is counted",
      async (fixtures, counts) => {
        await receiveAndSend(fixtures, sender().headers);
        assertCountedOnce(counts, fixtures, "injections", "trimmed");
      },
      { maxBytes: 1 },
    ),
    counted(adapter, "a send is counted once", async (fixtures, counts) => {
      await sendInSpan(fixtures, fixtures.harness.message([]));
      assertCountedOnce(counts, fixtures, "injections", "injected");
    }),
  ];
}

function extractionCountedAs(outcome: string) {
  return async (fixtures: Fixtures, counts: CountingMeterProvider) => {
    await receiveAndSend(fixtures, sender().headers);
    assertCountedOnce(counts, fixtures, "extractions", outcome);
  };
}

function counted(
  adapter: Adapter,
  title: string,
  body: (fixtures: Fixtures, counts: CountingMeterProvider) => Promise<void>,
  changes: AdapterOptions = {},
): ContractCase {
  return {
    title,
    timeout: MINUTE,
    run() {
      // Each run counts from zero.
      const counts = new CountingMeterProvider();
      return contractCase(adapter, title, (fixtures) => body(fixtures, counts), {
        options: { relation: "child", ...changes },
        record: { meterProvider: counts },
      }).run();
    },
  };
}

function assertCountedOnce(
  counts: CountingMeterProvider,
  { adapter }: Fixtures,
  counter: "extractions" | "injections",
  outcome: string,
): void {
  const name = `traceferry.${counter}`;
  const all = `counted: ${counts.toString() || "nothing"}`;
  assert.equal(
    counts.count(name, adapter.name, { outcome }),
    1,
    `${name}{outcome=${outcome}}; ${all}`,
  );
  assert.equal(counts.count(name, adapter.name), 1, `${name} for one message; ${all}`);
}
