import { context, propagation, ROOT_CONTEXT } from "@opentelemetry/api";
import { suppressTracing } from "@traceferry/core";
import { sender } from "@traceferry/testkit";
import { recordSpans } from "@traceferry/testkit/record";
import { expect, test } from "vitest";
import { processJob } from "./bullmq.test-support.js";
import { bullmqTelemetry, type IncomingJob } from "./index.js";

test("a job without a sender is a recorded root, whatever is active around its worker", async () => {
  using spans = recordSpans();
  const suppressed = suppressTracing(
    propagation.setBaggage(ROOT_CONTEXT, propagation.createBaggage({ a: { value: "1" } })),
  );
  const seen: unknown[] = [];

  await context.with(suppressed, () =>
    processJob(bullmqTelemetry(), { id: "7", data: "{}", opts: "{}" }, () => {
      seen.push(propagation.getActiveBaggage());
    }),
  );

  expect(spans.named("process orders").parentSpanId).toBeUndefined();
  expect(seen).toEqual([undefined]);
});

test("a relation function is asked with the queue and the carrier", async () => {
  using spans = recordSpans();
  const jobs: IncomingJob[] = [];
  const telemetry = bullmqTelemetry({
    relation(job) {
      jobs.push(job);
      return "link";
    },
  });
  const from = sender();

  await processJob(
    telemetry,
    {
      id: "7",
      data: "{}",
      opts: JSON.stringify({
        tm: JSON.stringify({ TraceParent: from.traceparent, source: "cron" }),
      }),
    },
    () => 1,
  );

  expect(jobs).toHaveLength(1);
  expect(jobs[0]?.queue).toBe("orders");
  expect({ ...jobs[0]?.carrier }).toEqual({ traceparent: from.traceparent, source: "cron" });
  expect(spans.named("process orders").links).toMatchObject([{ spanId: from.spanId }]);
});

test("a traceparent on Object.prototype is no sender", async () => {
  using spans = recordSpans();
  const { traceparent } = sender();
  Object.defineProperty(Object.prototype, "traceparent", {
    value: traceparent,
    configurable: true,
  });
  try {
    for (const opts of ["{}", '{"tm":"{}"}', '{"tm":"[]"}']) {
      await processJob(bullmqTelemetry(), { id: "7", data: "{}", opts }, () => undefined);
    }
  } finally {
    Reflect.deleteProperty(Object.prototype, "traceparent");
  }

  expect(spans.ended.map((span) => span.parentSpanId)).toEqual([undefined, undefined, undefined]);
});
