// README.md shows the code of this region word for word: see readme.test.ts.

// #region example
import { startReceiver } from "@traceferry/testkit";
import "@traceferry/testkit/vitest";
import { expect, test } from "vitest";
import { startShop } from "../../traces/src/shop.test-support.js";

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
