import { GOLDEN_HEADERS, GOLDEN_SENDER, type GoldenHeaders } from "@traceferry/testkit/golden";
import { expect, test } from "vitest";
import { recordPeers, SENDER } from "./golden/record.js";
import { describeWithEngines, engines } from "./suite/engines.test-support.js";
import { buildBefore, cannotRun } from "./suite/toolchains.test-support.js";
import { POLYGLOT } from "./topology/roles.js";

const why = cannotRun(POLYGLOT);

describeWithEngines("the golden headers of other languages", () => {
  buildBefore(POLYGLOT);

  test.skipIf(why !== undefined)(
    `are what the peers write today${why ? ` (skipped: ${why})` : ""}`,
    { timeout: 180_000 },
    async () => {
      const today = await recordPeers(engines(), () => undefined);

      expect(GOLDEN_SENDER).toEqual(SENDER);
      expect(today.map(shape)).toEqual(GOLDEN_HEADERS.map(shape));
    },
  );
});

/** A recording without the differences from run to run: ids, and the order of the baggage. */
function shape({ headers, ...of }: GoldenHeaders): object {
  const [version, traceId = "", , flags] = headers.traceparent?.split("-") ?? [];
  const known = SENDER.traceparent.includes(traceId) ? traceId : "(new)";
  const baggage = headers.baggage
    ?.replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "(uuid)")
    .split(",")
    .sort();
  return {
    ...of,
    headers: { ...headers, traceparent: [version, known, "(span)", flags].join("-"), baggage },
  };
}
