import { describe, expect, test } from "vitest";
import { diagnose } from "./index.js";
import { breaksOf, PLACE_ORDER, scenario, traceparentOf } from "./scenario.test-support.js";

describe("verdicts from wire records", () => {
  const flags = (value: string) => (sent: string) => `${sent.slice(0, 53)}${value}`;
  test.each<[string, string, (sent: string) => Record<string, unknown>]>([
    ["nothing arrived", "DROPPED_IN_TRANSIT", () => ({})],
    ["arrived well", "NOT_EXTRACTED", (sent) => ({ traceparent: sent })],
    ["upper-case name", "WRONG_KEY_CASE", (sent) => ({ Traceparent: sent })],
    ["bytes", "BINARY_VALUE", (sent) => ({ traceparent: Buffer.from(sent) })],
    ["flags 03", "REJECTED_FLAGS", (sent) => ({ traceparent: flags("03")(sent) })],
    [
      "flags 03, in blanks",
      "REJECTED_FLAGS",
      (sent) => ({ traceparent: ` ${flags("03")(sent)} ` }),
    ],
    ["flags 0b", "REJECTED_FLAGS", (sent) => ({ traceparent: flags("0b")(sent) })],
    ["twice", "REJECTED_FORMAT", (sent) => ({ traceparent: [sent, sent] })],
    ["in two spellings", "REJECTED_FORMAT", (sent) => ({ traceparent: sent, Traceparent: sent })],
    ["truncated", "REJECTED_FORMAT", (sent) => ({ traceparent: sent.slice(0, 40) })],
    [
      "truncated bytes",
      "REJECTED_FORMAT",
      (sent) => ({ traceparent: Buffer.from(sent.slice(0, 40)) }),
    ],
    ["version ff", "REJECTED_FORMAT", (sent) => ({ traceparent: `ff${sent.slice(2)}` })],
    [
      "too long",
      "REJECTED_FORMAT",
      (sent) => ({ traceparent: `01${sent.slice(2)}-${"x".repeat(600)}` }),
    ],
  ])("%s: %s", (_, code, arrived) => {
    const { spanFactory, gateway } = scenario();
    const [exit] = spanFactory.lostHop(gateway, "orders", PLACE_ORDER);
    const sent = traceparentOf(exit);

    const { breaks } = diagnose(spanFactory.spans, {
      wire: [{ sent: { traceparent: sent }, arrived: arrived(sent) }],
    });

    expect(breaks).toMatchObject([{ verdict: { code, orElse: [] } }]);
  });

  test("old SDKs accept flags 02", () => {
    const { spanFactory, gateway } = scenario();
    const [exit] = spanFactory.lostHop(gateway, "orders", PLACE_ORDER);
    const sent = traceparentOf(exit);
    const arrived = { traceparent: `${sent.slice(0, 53)}02` };

    const diagnosis = diagnose(spanFactory.spans, {
      wire: [{ sent: { traceparent: sent }, arrived }],
    });

    expect(breaksOf(diagnosis)).toContain(
      "NOT_EXTRACTED gateway → orders, grpc shop.v1.Orders/Place",
    );
  });

  test("no traceparent left the caller: not injected, without doubt", () => {
    const { spanFactory, gateway } = scenario();
    spanFactory.lostHop(gateway, "orders", PLACE_ORDER);

    const wire = [{ sent: { baggage: "a=1" }, from: "gateway", to: "orders" }];

    expect(diagnose(spanFactory.spans, { wire }).breaks).toMatchObject([
      { verdict: { code: "NOT_INJECTED", orElse: [] } },
    ]);
  });

  test("arrived unsampled: the callee recorded nothing, and its hop is named all the same", () => {
    const { spanFactory, gateway } = scenario();
    const exit = spanFactory.child(gateway, PLACE_ORDER.exit);
    const arrived = { traceparent: `${traceparentOf(exit).slice(0, 53)}00` };

    const wire = [{ sent: { traceparent: traceparentOf(exit) }, arrived, to: "orders" }];

    expect(breaksOf(diagnose(spanFactory.spans, { wire }))).toEqual([
      "NOT_SAMPLED gateway → orders, grpc shop.v1.Orders/Place",
    ]);
  });
});
