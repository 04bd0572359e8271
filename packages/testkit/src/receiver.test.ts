import { expect, test } from "vitest";
import { exportTo, SpanFactory } from "../../traces/src/span-factory.test-support.js";
import { startReceiver, WaitTimeoutError } from "./index.js";

test("a receiver that gives up shows the waterfall of what arrived", async () => {
  await using receiver = await startReceiver({ grpc: false });
  await exportTo(receiver.httpUrl, new SpanFactory().root({ service: "gateway" }));

  const waiting = receiver.waitForQuiet({ services: ["orders"], quietMs: 10, timeoutMs: 60 });

  const error = await waiting.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(WaitTimeoutError);
  expect(String(error)).toContain("gateway: work");
});

test("a receiver describes what arrived by the option `describe`", async () => {
  await using receiver = await startReceiver({
    grpc: false,
    describe: (wanted, all) => `${wanted.length} of ${all.length} spans`,
  });
  const spanFactory = new SpanFactory();
  const { traceId } = spanFactory.root({ service: "gateway" });
  spanFactory.root({ service: "cron" });
  await exportTo(receiver.httpUrl, ...spanFactory.spans);

  const waiting = receiver.waitForTrace(traceId, { atLeast: 2, quietMs: 10, timeoutMs: 60 });

  await expect(waiting).rejects.toThrow("1 of 2 spans");
});
