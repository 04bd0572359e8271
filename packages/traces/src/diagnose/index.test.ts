import { describe, expect, test } from "vitest";
import type { Span } from "../span.js";
import { bullmq, type Fleet, http, kafka } from "../span-factory.test-support.js";
import { diagnose } from "./index.js";
import { linkTo, place, story } from "./scenario.test-support.js";

describe("what is no break", () => {
  const cases: Readonly<Record<string, (fleet: Fleet, gateway: Span) => void>> = {
    "an exit to a database": (fleet, gateway) => {
      const attributes = { "db.system.name": "redis" };
      fleet.child(gateway, { name: "GET", kind: "CLIENT", attributes });
      fleet.root({ service: "orders", name: "GET", kind: "SERVER", at: 2 });
    },
    "a message that continues one sender and links others": (fleet, gateway) => {
      const [first, second] = [gateway, fleet.root({ service: "batch" })].map((parent) =>
        fleet.child(parent, kafka("orders").exit),
      );
      if (first === undefined || second === undefined) throw new Error("no senders");
      fleet.child(first, { service: "orders", ...kafka("orders").entry, links: [linkTo(second)] });
    },
    "a service that calls itself, by clocks that differ": (fleet) => {
      const call = fleet.root({ service: "batch", kind: "CLIENT", at: 10 });
      fleet.child(call, { ...place.entry, at: 8, flags: 0x301 });
    },
    "an exit to somebody who is not traced": (fleet, gateway) => {
      fleet.child(gateway, http("POST", "/v1/chat/completions").exit);
    },
    "an entry root that nobody here called": (fleet) => {
      fleet.root({ service: "orders", ...place.entry });
    },
    "a poll between messages": (fleet) => {
      const attributes = { "messaging.system": "kafka", "messaging.operation.type": "receive" };
      fleet.root({ service: "gateway", kind: "CLIENT", name: "poll orders", attributes, at: 4 });
    },
    "a call inside a call": (fleet, gateway) => {
      const outer = fleet.child(gateway, place.exit);
      const [, entry] = fleet.hop(outer, "orders", http("POST", "/shop.v1.Orders/Place"));
      fleet.child(entry, {});
      fleet.root({ service: "other", ...place.entry, at: 4 });
    },
  };

  test.each(Object.keys(cases))("%s", (name) => {
    const { fleet, gateway } = story();
    cases[name]?.(fleet, gateway);

    expect(diagnose(fleet.spans)).toMatchObject({ breaks: [], links: [] });
  });
});

describe("hops", () => {
  test("are named by old and new conventions alike, and counted", () => {
    const { fleet, gateway } = story();
    const old = { "rpc.system": "grpc", "rpc.service": "shop.v1.Orders", "rpc.method": "Place" };
    fleet.hop(gateway, "orders", place);
    fleet.hop(gateway, "orders", { exit: place.exit, entry: { kind: "SERVER", attributes: old } });
    fleet.hop(gateway, "mails", bullmq("mails"));
    const stock = { "bullmq.queue.name": "mails" };
    fleet.hop(gateway, "mails", {
      exit: bullmq("mails").exit,
      entry: { kind: "CONSUMER", attributes: stock },
    });
    fleet.hop(gateway, "billing", kafka("orders"));
    fleet.hop(gateway, "web", http("GET", "/cart"));
    fleet.hop(gateway, "plain", {
      exit: { kind: "CLIENT" },
      entry: { name: "whatever", kind: "SERVER" },
    });

    const hops = diagnose(fleet.spans).hops.map((hop) => `${hop.to}: ${hop.via} ×${hop.count}`);

    expect(hops.sort()).toEqual([
      "billing: kafka orders ×1",
      "mails: bullmq mails ×2",
      "orders: grpc shop.v1.Orders/Place ×2",
      "plain: whatever ×1",
      "web: http GET /cart ×1",
    ]);
  });

  test("exporters that tell neither flags nor instances are told apart by their services", () => {
    const { fleet, gateway } = story();
    fleet.hop(gateway, "orders", place);
    const bare = fleet.spans.map((span) => ({ ...span, instance: undefined, flags: undefined }));

    expect(diagnose(bare)).toMatchObject({ breaks: [], hops: [{ to: "orders", ok: true }] });
  });

  test("two instances of one service are two ends of a hop", () => {
    const { fleet, gateway } = story();
    fleet.hop(gateway, "gateway", place, { instance: "gateway-2" });

    expect(diagnose(fleet.spans).hops).toMatchObject([
      { from: "gateway", to: "gateway", ok: true },
    ]);
  });
});
