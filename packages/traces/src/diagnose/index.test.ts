import { describe, expect, test } from "vitest";
import type { Span } from "../span.js";
import { bullmq, http, kafka, type SpanFactory } from "../span-factory.test-support.js";
import { diagnose } from "./index.js";
import { linkTo, PLACE_ORDER, scenario } from "./scenario.test-support.js";

describe("not a break:", () => {
  const cases: Readonly<Record<string, (spanFactory: SpanFactory, gateway: Span) => void>> = {
    "an exit to a database": (spanFactory, gateway) => {
      const attributes = { "db.system.name": "redis" };
      spanFactory.child(gateway, { name: "GET", kind: "CLIENT", attributes });
      spanFactory.root({ service: "orders", name: "GET", kind: "SERVER", at: 2 });
    },
    "a message that continues one sender and links others": (spanFactory, gateway) => {
      const [first, second] = [gateway, spanFactory.root({ service: "batch" })].map((parent) =>
        spanFactory.child(parent, kafka("orders").exit),
      );
      if (first === undefined || second === undefined) throw new Error("no senders");
      spanFactory.child(first, {
        service: "orders",
        ...kafka("orders").entry,
        links: [linkTo(second)],
      });
    },
    "a service that calls itself, by clocks that differ": (spanFactory) => {
      const call = spanFactory.root({ service: "batch", kind: "CLIENT", at: 10 });
      spanFactory.child(call, { ...PLACE_ORDER.entry, at: 8, flags: 0x301 });
    },
    "an exit to somebody who is not traced": (spanFactory, gateway) => {
      spanFactory.child(gateway, http("POST", "/v1/chat/completions").exit);
    },
    "an entry root that nobody here called": (spanFactory) => {
      spanFactory.root({ service: "orders", ...PLACE_ORDER.entry });
    },
    "a poll between messages": (spanFactory) => {
      const attributes = { "messaging.system": "kafka", "messaging.operation.type": "receive" };
      spanFactory.root({
        service: "gateway",
        kind: "CLIENT",
        name: "poll orders",
        attributes,
        at: 4,
      });
    },
    "a call inside a call": (spanFactory, gateway) => {
      const outer = spanFactory.child(gateway, PLACE_ORDER.exit);
      const [, entry] = spanFactory.hop(outer, "orders", http("POST", "/shop.v1.Orders/Place"));
      spanFactory.child(entry, {});
      spanFactory.root({ service: "other", ...PLACE_ORDER.entry, at: 4 });
    },
  };

  test.each(Object.keys(cases))("%s", (name) => {
    const { spanFactory, gateway } = scenario();
    cases[name]?.(spanFactory, gateway);

    expect(diagnose(spanFactory.spans)).toMatchObject({ breaks: [], links: [] });
  });
});

describe("hops", () => {
  test("are named by old and new conventions alike, and counted", () => {
    const { spanFactory, gateway } = scenario();
    const old = { "rpc.system": "grpc", "rpc.service": "shop.v1.Orders", "rpc.method": "Place" };
    spanFactory.hop(gateway, "orders", PLACE_ORDER);
    spanFactory.hop(gateway, "orders", {
      exit: PLACE_ORDER.exit,
      entry: { kind: "SERVER", attributes: old },
    });
    spanFactory.hop(gateway, "mails", bullmq("mails"));
    const stock = { "bullmq.queue.name": "mails" };
    spanFactory.hop(gateway, "mails", {
      exit: bullmq("mails").exit,
      entry: { kind: "CONSUMER", attributes: stock },
    });
    spanFactory.hop(gateway, "billing", kafka("orders"));
    spanFactory.hop(gateway, "web", http("GET", "/cart"));
    spanFactory.hop(gateway, "plain", {
      exit: { kind: "CLIENT" },
      entry: { name: "whatever", kind: "SERVER" },
    });

    const hops = diagnose(spanFactory.spans).hops.map(
      (hop) => `${hop.to}: ${hop.via} ×${hop.count}`,
    );

    expect(hops.sort()).toEqual([
      "billing: kafka orders ×1",
      "mails: bullmq mails ×2",
      "orders: grpc shop.v1.Orders/Place ×2",
      "plain: whatever ×1",
      "web: http GET /cart ×1",
    ]);
  });

  test("spans with neither flags nor instances are separated by their services", () => {
    const { spanFactory, gateway } = scenario();
    spanFactory.hop(gateway, "orders", PLACE_ORDER);
    const bare = spanFactory.spans.map((span) => ({
      ...span,
      instance: undefined,
      flags: undefined,
    }));

    expect(diagnose(bare)).toMatchObject({ breaks: [], hops: [{ to: "orders", ok: true }] });
  });

  test("two instances of one service are two ends of a hop", () => {
    const { spanFactory, gateway } = scenario();
    spanFactory.hop(gateway, "gateway", PLACE_ORDER, { instance: "gateway-2" });

    expect(diagnose(spanFactory.spans).hops).toMatchObject([
      { from: "gateway", to: "gateway", ok: true },
    ]);
  });
});
