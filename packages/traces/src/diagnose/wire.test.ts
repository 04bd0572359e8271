import { describe, expect, test } from "vitest";
import { diagnose } from "./index.js";
import { breaksOf, place, story, traceparentOf } from "./scenario.test-support.js";

describe("what was on the wire", () => {
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
    const { fleet, gateway } = story();
    const [exit] = fleet.lostHop(gateway, "orders", place);
    const sent = traceparentOf(exit);

    const { breaks } = diagnose(fleet.spans, {
      wire: [{ sent: { traceparent: sent }, arrived: arrived(sent) }],
    });

    expect(breaks).toMatchObject([{ verdict: { code, orElse: [] } }]);
  });

  test("flags 02 are none that an old SDK rejects", () => {
    const { fleet, gateway } = story();
    const [exit] = fleet.lostHop(gateway, "orders", place);
    const sent = traceparentOf(exit);
    const arrived = { traceparent: `${sent.slice(0, 53)}02` };

    const diagnosis = diagnose(fleet.spans, { wire: [{ sent: { traceparent: sent }, arrived }] });

    expect(breaksOf(diagnosis)).toContain(
      "NOT_EXTRACTED gateway → orders, grpc shop.v1.Orders/Place",
    );
  });

  test("nothing left the caller: not injected, for sure", () => {
    const { fleet, gateway } = story();
    fleet.lostHop(gateway, "orders", place);

    const wire = [{ sent: { baggage: "a=1" }, from: "gateway", to: "orders" }];

    expect(diagnose(fleet.spans, { wire }).breaks).toMatchObject([
      { verdict: { code: "NOT_INJECTED", orElse: [] } },
    ]);
  });

  test("arrived unsampled: the callee recorded nothing, and its hop is named all the same", () => {
    const { fleet, gateway } = story();
    const exit = fleet.child(gateway, place.exit);
    const arrived = { traceparent: `${traceparentOf(exit).slice(0, 53)}00` };

    const wire = [{ sent: { traceparent: traceparentOf(exit) }, arrived, to: "orders" }];

    expect(breaksOf(diagnose(fleet.spans, { wire }))).toEqual([
      "NOT_SAMPLED gateway → orders, grpc shop.v1.Orders/Place",
    ]);
  });
});
