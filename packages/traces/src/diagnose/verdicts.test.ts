import { describe, expect, test } from "vitest";
import { grpc, kafka } from "../span-factory.test-support.js";
import { diagnose } from "./index.js";
import {
  breaksOf,
  linkTo,
  PLACE_ORDER,
  scenario,
  withExtraction,
} from "./scenario.test-support.js";

describe("verdicts from the span flags and kinds", () => {
  test("an entry root below an open exit: the context was not propagated", () => {
    const { spanFactory, gateway } = scenario();
    spanFactory.lostHop(gateway, "orders", PLACE_ORDER);

    expect(breaksOf(diagnose(spanFactory.spans))).toEqual([
      "NOT_INJECTED gateway → orders, grpc shop.v1.Orders/Place",
    ]);
  });

  test("a missing parent that was remote: extracted, but never exported", () => {
    const { spanFactory, gateway } = scenario();
    const [exit] = spanFactory.hop(gateway, "orders", PLACE_ORDER);

    const diagnosis = diagnose(spanFactory.spans.filter((span) => span !== exit));

    expect(breaksOf(diagnosis)).toEqual([
      "PARENT_NOT_EXPORTED ? → orders, grpc shop.v1.Orders/Place",
    ]);
  });

  test("the caller of an orphan is named when nobody else is seen to call this way", () => {
    const { spanFactory, gateway } = scenario();
    spanFactory.hop(gateway, "orders", PLACE_ORDER);
    const [exit] = spanFactory.hop(gateway, "orders", PLACE_ORDER);

    const diagnosis = diagnose(spanFactory.spans.filter((span) => span !== exit));

    expect(breaksOf(diagnosis)).toEqual([
      "PARENT_NOT_EXPORTED gateway → orders, grpc shop.v1.Orders/Place",
    ]);
  });

  test("a missing parent that was local: lost in its own process", () => {
    const { spanFactory, gateway } = scenario();
    const middle = spanFactory.child(gateway, { name: "middle" });
    spanFactory.child(middle, { name: "leaf" });

    const diagnosis = diagnose(spanFactory.spans.filter((span) => span !== middle));

    expect(breaksOf(diagnosis)).toEqual(["IN_PROCESS_LOSS gateway → gateway, leaf"]);
  });

  test("the flags decide before the kind of the span", () => {
    const { spanFactory, gateway } = scenario();
    const [exit] = spanFactory.hop(gateway, "orders", PLACE_ORDER, { flags: 0x101 });
    const other = spanFactory.child(gateway, PLACE_ORDER.exit);
    spanFactory.child(other, { service: "script", name: "run", at: 9 });

    const diagnosis = diagnose(spanFactory.spans.filter((span) => span !== exit && span !== other));

    expect(breaksOf(diagnosis)).toEqual([
      "IN_PROCESS_LOSS orders → orders, grpc shop.v1.Orders/Place",
      "PARENT_NOT_EXPORTED ? → script, run",
    ]);
  });

  test.each(["CLIENT", "INTERNAL", "PRODUCER"] as const)(
    "a %s root while its service serves somebody: lost in its own process",
    (kind) => {
      const { spanFactory, gateway } = scenario();
      spanFactory.root({ service: "gateway", kind, name: "forgot", at: 5 });

      const diagnosis = diagnose(spanFactory.spans);

      expect(breaksOf(diagnosis)).toEqual(["IN_PROCESS_LOSS gateway → gateway, forgot"]);
      expect(diagnosis.breaks[0]?.exit).toBe(gateway);
    },
  );

  test("the same root while two are served names the process, but no request", () => {
    const { spanFactory } = scenario();
    spanFactory.root({ service: "gateway", kind: "SERVER", name: "other", ms: 100 });
    spanFactory.root({ service: "gateway", kind: "INTERNAL", name: "forgot", at: 5 });

    const { breaks } = diagnose(spanFactory.spans);

    expect(breaks).toMatchObject([{ verdict: { code: "IN_PROCESS_LOSS" }, exit: undefined }]);
  });

  test("a callee below the caller's own work, not below its call: injected from the wrong context", () => {
    const { spanFactory, gateway } = scenario();
    spanFactory.child(gateway, PLACE_ORDER.exit);
    spanFactory.child(gateway, { service: "orders", ...PLACE_ORDER.entry, at: 3 });

    expect(breaksOf(diagnose(spanFactory.spans))).toEqual([
      "WRONG_PARENT gateway → orders, grpc shop.v1.Orders/Place",
    ]);
  });

  test("a callee below work without a call span is no break", () => {
    const { spanFactory, gateway } = scenario();
    spanFactory.child(gateway, { service: "orders", ...PLACE_ORDER.entry });

    expect(diagnose(spanFactory.spans)).toMatchObject({
      breaks: [],
      hops: [{ ok: true, count: 1 }],
    });
  });

  test("a root that links into the caller's trace: link mode, and no break", () => {
    const { spanFactory, gateway } = scenario();
    const exit = spanFactory.child(gateway, kafka("orders").exit);
    spanFactory.root({
      service: "billing",
      ...kafka("orders").entry,
      links: [linkTo(exit)],
      at: 2,
    });

    const diagnosis = diagnose(spanFactory.spans);

    expect(diagnosis.breaks).toEqual([]);
    expect(diagnosis.links).toMatchObject([{ verdict: { code: "LINK_NOT_PARENT" }, exit }]);
    expect(diagnosis.hops).toMatchObject([{ ok: true, verdict: { code: "LINK_NOT_PARENT" } }]);
  });

  test("without flags, the kind decides between the two sorts of orphans", () => {
    const { spanFactory, gateway } = scenario();
    const [exit] = spanFactory.hop(gateway, "orders", PLACE_ORDER, { flags: undefined });
    const middle = spanFactory.child(gateway, {});
    spanFactory.child(middle, { name: "leaf", flags: undefined, at: 9 });

    const diagnosis = diagnose(
      spanFactory.spans.filter((span) => span !== exit && span !== middle),
    );

    expect(breaksOf(diagnosis)).toEqual([
      "PARENT_NOT_EXPORTED ? → orders, grpc shop.v1.Orders/Place",
      "IN_PROCESS_LOSS gateway → gateway, leaf",
    ]);
  });
});

describe("verdicts from traceferry.extraction on the entry span", () => {
  test.each([
    ["missing", undefined, "NOT_INJECTED", "sent no traceparent"],
    ["missing", "no_propagator", "NOT_EXTRACTED", "orders got a traceparent"],
    ["invalid", "repeated", "REJECTED_FORMAT", "it came more than once (repeated)"],
    ["invalid", "zero_id", "REJECTED_FORMAT", "an id in it is all zero (zero_id)"],
    ["invalid", undefined, "REJECTED_FORMAT", "it breaks the grammar"],
    ["ignored", "untrusted", "RESTARTED_BY_POLICY", "on purpose (untrusted)"],
    ["linked", "untrusted", "RESTARTED_BY_POLICY", "on purpose (untrusted)"],
  ])("%s, reason %s, is %s", (extraction, reason, code, sentence) => {
    const { spanFactory, gateway } = scenario();
    spanFactory.lostHop(gateway, "orders", withExtraction(PLACE_ORDER, extraction, reason));

    const { breaks } = diagnose(spanFactory.spans);

    expect(breaks).toMatchObject([
      { verdict: { code, sentence: expect.stringContaining(sentence) } },
    ]);
  });

  test("missing where the caller is seen to inject: dropped on the way", () => {
    const { spanFactory, gateway } = scenario();
    spanFactory.hop(gateway, "orders", PLACE_ORDER);
    spanFactory.lostHop(gateway, "orders", withExtraction(PLACE_ORDER, "missing"));

    expect(diagnose(spanFactory.spans).breaks).toMatchObject([
      { verdict: { code: "DROPPED_IN_TRANSIT", orElse: [] } },
    ]);
  });

  test("a linked call is a break, joined by its link; a linked message is link mode", () => {
    const { spanFactory, gateway } = scenario();
    const call = spanFactory.child(gateway, PLACE_ORDER.exit);
    spanFactory.root({
      service: "orders",
      ...withExtraction(PLACE_ORDER, "linked").entry,
      links: [linkTo(call)],
    });
    const sent = spanFactory.child(gateway, kafka("orders").exit);
    const batch = { service: "billing", ...withExtraction(kafka("orders"), "linked").entry, at: 5 };
    spanFactory.root({ ...batch, links: [linkTo(sent)] });

    const { breaks, links } = diagnose(spanFactory.spans);

    expect(breaks).toMatchObject([{ to: "orders", verdict: { code: "RESTARTED_BY_POLICY" } }]);
    expect(links).toMatchObject([{ to: "billing", verdict: { code: "RESTARTED_BY_POLICY" } }]);
  });
});

describe("a callee without traceferry.extraction", () => {
  test.each([
    { sends: true, reads: true, code: "DROPPED_IN_TRANSIT" },
    { sends: true, reads: false, code: "NOT_EXTRACTED" },
    { sends: false, reads: true, code: "NOT_INJECTED" },
    { sends: false, reads: false, code: "NOT_INJECTED" },
  ])(
    "is judged by what both sides do elsewhere: sends $sends, reads $reads",
    ({ sends, reads, code }) => {
      const { spanFactory, gateway } = scenario();
      if (sends) spanFactory.hop(gateway, "stock", grpc("shop.v1.Stock/Get"));
      if (reads) {
        const client = spanFactory.root({ service: "batch", kind: "INTERNAL", name: "nightly" });
        spanFactory.hop(client, "orders", PLACE_ORDER);
      }
      spanFactory.lostHop(gateway, "orders", PLACE_ORDER);

      expect(diagnose(spanFactory.spans).breaks).toMatchObject([
        { from: "gateway", verdict: { code } },
      ]);
    },
  );

  test("gets a sentence with alternatives, and a hint for the language of the service to fix", () => {
    const { spanFactory, gateway } = scenario({ "telemetry.sdk.language": "go" });
    const exit = spanFactory.child(gateway, {
      ...PLACE_ORDER.exit,
      resource: { "telemetry.sdk.language": "go" },
    });
    spanFactory.root({ service: "orders", ...PLACE_ORDER.entry, at: 3 });

    const [found] = diagnose(spanFactory.spans).breaks;

    expect(found?.exit).toBe(exit);
    expect(found?.verdict.orElse).toEqual(["NOT_EXTRACTED", "DROPPED_IN_TRANSIT"]);
    expect(found?.verdict.sentence).toContain("would also allow NOT_EXTRACTED");
    expect(found?.verdict.hint).toContain("otel.SetTextMapPropagator");
  });
});
