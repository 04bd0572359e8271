import { recordSpans } from "@traceferry/testkit/record";
import { expect, test } from "vitest";
import { addJob } from "./bullmq.test-support.js";
import { bullmqTelemetry } from "./index.js";

test("with nothing to send BullMQ is given nothing, and omitContext is obeyed", async () => {
  const own = { telemetry: { metadata: "mine" } };
  expect(JSON.parse((await addJob(bullmqTelemetry(), {}, own)).opts)).toEqual({ tm: "mine" });
  expect((await addJob(bullmqTelemetry(), {})).opts).toBe("{}");

  using _ = recordSpans();
  const omitting = { telemetry: { omitContext: true } };
  expect(JSON.parse((await addJob(bullmqTelemetry(), {}, omitting)).opts)).toEqual({ omc: true });
});
