// What stands between the marks stands in README.md, word for word: readme-text.test.ts sees to that.

// #region matcher
import { startReceiver } from "@traceferry/testkit";
import "@traceferry/testkit/vitest";
import { expect, test } from "vitest";
import { startShop } from "./shop.test-support.js";

test("an order is one trace, from the gateway to the mailer", async () => {
  await using receiver = await startReceiver();
  await using shop = await startShop({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.httpUrl });

  await shop.order("one teapot");

  await expect(receiver).toHaveUnbrokenTrace({
    root: { service: "gateway" },
    path: ["gateway", "orders", "mailer"],
  });
});
// #endregion
