import "@traceferry/testkit/vitest";
import { diagnose, type Span } from "@traceferry/traces";
import { describe, expect, test } from "vitest";
import { expectApplicationSpans, titleOf } from "./suite/application.test-support.js";
import { describeWithEngines } from "./suite/engines.test-support.js";
import { type Jeeves, startJeeves } from "./suite/jeeves.test-support.js";
import { coveringSet } from "./suite/pairs.test-support.js";
import { buildBefore, cannotRun } from "./suite/toolchains.test-support.js";
import { type ChatOptions, chat } from "./system/chat.js";
import { expectedTrace, type Hop, hopsOf } from "./topology/expected-trace.js";
import {
  GATEWAY,
  type Implementations,
  implementationsOf,
  POLYGLOT,
  ROLES,
} from "./topology/roles.js";

const CHOICES = new Map(
  ROLES.filter(({ option }) => option !== undefined).map((role) => [
    role.name,
    implementationsOf(role),
  ]),
);
const NEIGHBOURS = hopsOf(false).map(({ from, to }) => [from, to] as const);

// The first row is all ts, which chain.test.ts tests.
const ROWS = coveringSet(CHOICES, NEIGHBOURS).slice(1);

describeWithEngines("one request is one unbroken trace in every mix of implementations", () => {
  buildBefore(POLYGLOT);

  describe.for(ROWS.map((implementations) => [titleOf(implementations), implementations] as const))(
    "%s",
    ([, implementations]) => {
      const why = cannotRun(implementations);
      const title = "in one piece, streamed, and side by side";
      if (why !== undefined) {
        test.skip(`${title} (skipped: ${why})`, () => undefined);
        return;
      }
      test(title, async () => {
        await using jeeves = await startJeeves({ implementations });
        await expectWhole(jeeves, implementations, { message: "Plan a picnic" });
        await expectWhole(jeeves, implementations, { message: "Plan a picnic", stream: true });
        await expectWhole(jeeves, implementations, { message: "Plan a picnic", mode: "parallel" });
        expect(requestTraces(jeeves.receiver.spans)).toBe(3);
      });
    },
  );
});

async function expectWhole(
  jeeves: Jeeves,
  implementations: Implementations,
  options: ChatOptions,
): Promise<void> {
  const sessionId = `session ${options.mode ?? "sequential"}`;
  const answer = await chat(jeeves.url, { ...options, sessionId });
  expect(answer.reply, JSON.stringify(answer)).toContain("Plan a picnic");
  expect(answer.reply).toContain("The message has 3 words.");
  if (options.stream) {
    expect(answer.events.slice(0, 3)).toEqual(["stage", "stage", "stage"]);
    expect(answer.events.filter((event) => event === "text").length).toBeGreaterThan(1);
    expect(answer.events.at(-1)).toBe("done");
  }

  const traceId =
    implementations[GATEWAY] === "bare" ? await jeeves.traceOf(answer.requestId) : answer.traceId;
  const spans = await jeeves.trace(traceId);
  await expect(spans).toHaveUnbrokenTrace({ traceId, ...expectedTrace(implementations) });
  expect(missingHops(spans, options.stream === true, implementations)).toEqual([]);
  expectApplicationSpans(spans, implementations, {
    requestId: answer.requestId,
    sessionId,
    ...(options.mode && { mode: options.mode }),
  });
}

/** The expected hops that are not in the spans, or broken. */
function missingHops(
  spans: readonly Span[],
  streamed: boolean,
  implementations: Implementations,
): readonly Hop[] {
  const seen = diagnose(spans, { root: expectedTrace(implementations).root }).hops.filter(
    ({ ok }) => ok,
  );
  return hopsOf(streamed, implementations).filter(
    (hop) =>
      !seen.some(({ from, to, via }) => from === hop.from && to === hop.to && via === hop.via),
  );
}

/** The number of traces, without those of INTERNAL spans only, which bullmq-otel makes for its timers. */
function requestTraces(spans: readonly Span[]): number {
  return new Set(spans.filter(({ kind }) => kind !== "INTERNAL").map(({ traceId }) => traceId))
    .size;
}
