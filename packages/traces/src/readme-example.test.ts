// README.md shows the code of this region word for word: see readme.test.ts.

// #region example
import { diagnose, renderWaterfall } from "@traceferry/traces";
import { startReceiver } from "@traceferry/traces/receiver";
import { expect, test } from "vitest";
import { startShop } from "./shop.test-support.js";

test("no hop of an order loses its trace", async () => {
  await using receiver = await startReceiver();
  await using shop = await startShop({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.httpUrl });
  await shop.order("one teapot");

  const spans = await receiver.waitForQuiet({ services: ["gateway", "orders", "mailer"] });
  const diagnosis = diagnose(spans);

  expect(diagnosis.breaks, renderWaterfall(spans, { diagnosis })).toEqual([]);
});
// #endregion
