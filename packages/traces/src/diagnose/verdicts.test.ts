import { describe, expect, test } from "vitest";
import { grpc, kafka } from "../span-factory.test-support.js";
import { diagnose } from "./index.js";
import { breaksOf, linkTo, place, story, told } from "./scenario.test-support.js";

describe("what the flags tell", () => {
  test("an entry root below an open exit: the context was not taken over", () => {
    const { fleet, gateway } = story();
    fleet.lostHop(gateway, "orders", place);

    expect(breaksOf(diagnose(fleet.spans))).toEqual([
      "NOT_INJECTED gateway → orders, grpc shop.v1.Orders/Place",
    ]);
  });

  test("a missing parent that was remote: extracted, but never exported", () => {
    const { fleet, gateway } = story();
    const [exit] = fleet.hop(gateway, "orders", place);

    const diagnosis = diagnose(fleet.spans.filter((span) => span !== exit));

    expect(breaksOf(diagnosis)).toEqual([
      "PARENT_NOT_EXPORTED ? → orders, grpc shop.v1.Orders/Place",
    ]);
  });

  test("the caller of an orphan is named when nobody else is seen to call this way", () => {
    const { fleet, gateway } = story();
    fleet.hop(gateway, "orders", place);
    const [exit] = fleet.hop(gateway, "orders", place);

    const diagnosis = diagnose(fleet.spans.filter((span) => span !== exit));

    expect(breaksOf(diagnosis)).toEqual([
      "PARENT_NOT_EXPORTED gateway → orders, grpc shop.v1.Orders/Place",
    ]);
  });

  test("a missing parent that was local: lost in its own process", () => {
    const { fleet, gateway } = story();
    const middle = fleet.child(gateway, { name: "middle" });
    fleet.child(middle, { name: "leaf" });

    const diagnosis = diagnose(fleet.spans.filter((span) => span !== middle));

    expect(breaksOf(diagnosis)).toEqual(["IN_PROCESS_LOSS gateway → gateway, leaf"]);
  });

  test("the flags are believed, whatever the kind of the span", () => {
    const { fleet, gateway } = story();
    const [exit] = fleet.hop(gateway, "orders", place, { flags: 0x101 });
    const other = fleet.child(gateway, place.exit);
    fleet.child(other, { service: "script", name: "run", at: 9 });

    const diagnosis = diagnose(fleet.spans.filter((span) => span !== exit && span !== other));

    expect(breaksOf(diagnosis)).toEqual([
      "IN_PROCESS_LOSS orders → orders, grpc shop.v1.Orders/Place",
      "PARENT_NOT_EXPORTED ? → script, run",
    ]);
  });

  test.each(["CLIENT", "INTERNAL", "PRODUCER"] as const)(
    "a %s root while its service serves somebody: lost in its own process",
    (kind) => {
      const { fleet, gateway } = story();
      fleet.root({ service: "gateway", kind, name: "forgot", at: 5 });

      const diagnosis = diagnose(fleet.spans);

      expect(breaksOf(diagnosis)).toEqual(["IN_PROCESS_LOSS gateway → gateway, forgot"]);
      expect(diagnosis.breaks[0]?.exit).toBe(gateway);
    },
  );

  test("the same root while two are served names the process, but no request", () => {
    const { fleet } = story();
    fleet.root({ service: "gateway", kind: "SERVER", name: "other", ms: 100 });
    fleet.root({ service: "gateway", kind: "INTERNAL", name: "forgot", at: 5 });

    const { breaks } = diagnose(fleet.spans);

    expect(breaks).toMatchObject([{ verdict: { code: "IN_PROCESS_LOSS" }, exit: undefined }]);
  });

  test("a callee below the caller's own work, not below its call: injected from the wrong context", () => {
    const { fleet, gateway } = story();
    fleet.child(gateway, place.exit);
    fleet.child(gateway, { service: "orders", ...place.entry, at: 3 });

    expect(breaksOf(diagnose(fleet.spans))).toEqual([
      "WRONG_PARENT gateway → orders, grpc shop.v1.Orders/Place",
    ]);
  });

  test("a callee below work that made no call span is no fault", () => {
    const { fleet, gateway } = story();
    fleet.child(gateway, { service: "orders", ...place.entry });

    expect(diagnose(fleet.spans)).toMatchObject({ breaks: [], hops: [{ ok: true, count: 1 }] });
  });

  test("a root that links into the caller's trace: link mode, and no break", () => {
    const { fleet, gateway } = story();
    const exit = fleet.child(gateway, kafka("orders").exit);
    fleet.root({ service: "billing", ...kafka("orders").entry, links: [linkTo(exit)], at: 2 });

    const diagnosis = diagnose(fleet.spans);

    expect(diagnosis.breaks).toEqual([]);
    expect(diagnosis.links).toMatchObject([{ verdict: { code: "LINK_NOT_PARENT" }, exit }]);
    expect(diagnosis.hops).toMatchObject([{ ok: true, verdict: { code: "LINK_NOT_PARENT" } }]);
  });

  test("without flags, the kind decides between the two sorts of orphans", () => {
    const { fleet, gateway } = story();
    const [exit] = fleet.hop(gateway, "orders", place, { flags: undefined });
    const middle = fleet.child(gateway, {});
    fleet.child(middle, { name: "leaf", flags: undefined, at: 9 });

    const diagnosis = diagnose(fleet.spans.filter((span) => span !== exit && span !== middle));

    expect(breaksOf(diagnosis)).toEqual([
      "PARENT_NOT_EXPORTED ? → orders, grpc shop.v1.Orders/Place",
      "IN_PROCESS_LOSS gateway → gateway, leaf",
    ]);
  });
});

describe("what the adapters write on the entry span", () => {
  test.each([
    ["missing", undefined, "NOT_INJECTED", "sent no traceparent"],
    ["missing", "no_propagator", "NOT_EXTRACTED", "orders got a traceparent"],
    ["invalid", "repeated", "REJECTED_FORMAT", "it came more than once (repeated)"],
    ["invalid", "zero_id", "REJECTED_FORMAT", "an id in it is all zero (zero_id)"],
    ["invalid", undefined, "REJECTED_FORMAT", "it breaks the grammar"],
    ["ignored", "untrusted", "RESTARTED_BY_POLICY", "on purpose (untrusted)"],
    ["linked", "untrusted", "RESTARTED_BY_POLICY", "on purpose (untrusted)"],
  ])("%s, reason %s, is %s", (extraction, reason, code, sentence) => {
    const { fleet, gateway } = story();
    fleet.lostHop(gateway, "orders", told(place, extraction, reason));

    const { breaks } = diagnose(fleet.spans);

    expect(breaks).toMatchObject([
      { verdict: { code, sentence: expect.stringContaining(sentence) } },
    ]);
  });

  test("missing where the caller is seen to inject: dropped on the way", () => {
    const { fleet, gateway } = story();
    fleet.hop(gateway, "orders", place);
    fleet.lostHop(gateway, "orders", told(place, "missing"));

    expect(diagnose(fleet.spans).breaks).toMatchObject([
      { verdict: { code: "DROPPED_IN_TRANSIT", orElse: [] } },
    ]);
  });

  test("a linked call is a break, joined by its link; a linked message is link mode", () => {
    const { fleet, gateway } = story();
    const call = fleet.child(gateway, place.exit);
    fleet.root({ service: "orders", ...told(place, "linked").entry, links: [linkTo(call)] });
    const sent = fleet.child(gateway, kafka("orders").exit);
    const batch = { service: "billing", ...told(kafka("orders"), "linked").entry, at: 5 };
    fleet.root({ ...batch, links: [linkTo(sent)] });

    const { breaks, links } = diagnose(fleet.spans);

    expect(breaks).toMatchObject([{ to: "orders", verdict: { code: "RESTARTED_BY_POLICY" } }]);
    expect(links).toMatchObject([{ to: "billing", verdict: { code: "RESTARTED_BY_POLICY" } }]);
  });
});

describe("a callee that says nothing", () => {
  test.each([
    { sends: true, reads: true, code: "DROPPED_IN_TRANSIT" },
    { sends: true, reads: false, code: "NOT_EXTRACTED" },
    { sends: false, reads: true, code: "NOT_INJECTED" },
    { sends: false, reads: false, code: "NOT_INJECTED" },
  ])(
    "is judged by what both sides do elsewhere: sends $sends, reads $reads",
    ({ sends, reads, code }) => {
      const { fleet, gateway } = story();
      if (sends) fleet.hop(gateway, "stock", grpc("shop.v1.Stock/Get"));
      if (reads) {
        const client = fleet.root({ service: "batch", kind: "INTERNAL", name: "nightly" });
        fleet.hop(client, "orders", place);
      }
      fleet.lostHop(gateway, "orders", place);

      expect(diagnose(fleet.spans).breaks).toMatchObject([{ from: "gateway", verdict: { code } }]);
    },
  );

  test("is doubted in the sentence, and the hint speaks the language of who has to change", () => {
    const { fleet, gateway } = story({ "telemetry.sdk.language": "go" });
    const exit = fleet.child(gateway, {
      ...place.exit,
      resource: { "telemetry.sdk.language": "go" },
    });
    fleet.root({ service: "orders", ...place.entry, at: 3 });

    const [found] = diagnose(fleet.spans).breaks;

    expect(found?.exit).toBe(exit);
    expect(found?.verdict.orElse).toEqual(["NOT_EXTRACTED", "DROPPED_IN_TRANSIT"]);
    expect(found?.verdict.sentence).toContain("would also allow NOT_EXTRACTED");
    expect(found?.verdict.hint).toContain("otel.SetTextMapPropagator");
  });
});
