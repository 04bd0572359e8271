import { describe, expect, test } from "vitest";
import type { Span } from "../span.js";
import { bullmq, Fleet, grpc, http, kafka, slow } from "../span-factory.test-support.js";
import { workOf } from "../work.test-support.js";
import { diagnose } from "./index.js";

describe("joining the halves of a broken hop", () => {
  test("a record's place in its log joins the right request, in whichever order they are processed", () => {
    const fleet = new Fleet();
    const exits = [0, 1, 2].map((offset) =>
      sentBy(fleet, kafka("orders", { partition: 3, offset }).exit),
    );
    const entries = [2, 0, 1].map((offset, index) =>
      received(fleet, kafka("orders", { partition: 3, offset }).entry, 50 + index),
    );

    const { breaks } = diagnose(fleet.spans);

    expect(breaks.map(({ exit, exact }) => [exit, exact])).toEqual([
      [exits[2], true],
      [exits[0], true],
      [exits[1], true],
    ]);
    expect(breaks.map(({ entry }) => entry)).toEqual(entries);
  });

  test("old attribute names on one side and new ones on the other are the same key", () => {
    const fleet = new Fleet();
    const exit = sentBy(fleet, kafka("orders", { partition: 1, offset: 7 }).exit);
    sentBy(fleet, kafka("orders", { partition: 1, offset: 8 }).exit);
    const old = {
      "messaging.system": "kafka",
      "messaging.destination.name": "orders",
      "messaging.kafka.destination.partition": 1,
      "messaging.kafka.message.offset": "7",
    };
    received(fleet, { name: "orders process", kind: "CONSUMER", attributes: old }, 50);

    expect(diagnose(fleet.spans).breaks).toMatchObject([{ exit, exact: true }]);
  });

  test("a job's id joins the right request", () => {
    const fleet = new Fleet();
    const exits = ["11", "12"].map((id) => sentBy(fleet, bullmq("mails", id).exit));
    received(fleet, bullmq("mails", "12").entry, 50);

    expect(diagnose(fleet.spans).breaks).toMatchObject([{ exit: exits[1], exact: true }]);
  });

  test("a job that is tried twice is two broken deliveries of one sender", () => {
    const fleet = new Fleet();
    const exit = sentBy(fleet, bullmq("mails", "11").exit);
    for (const at of [50, 80]) received(fleet, bullmq("mails", "11").entry, at);

    expect(diagnose(fleet.spans).breaks).toMatchObject([{ exit }, { exit }]);
  });

  test("of three consumer groups only the one that lost the trace is named", () => {
    const fleet = new Fleet();
    const via = kafka("orders", { partition: 0, offset: 1 });
    const exit = sentBy(fleet, via.exit);
    for (const service of ["billing", "stock"]) fleet.child(exit, { service, ...via.entry });
    received(fleet, via.entry, 50, "mails");

    expect(diagnose(fleet.spans).breaks).toMatchObject([{ exit, to: "mails", exact: true }]);
  });

  test("the same without any key: a group that never continues a sender is one that lost it", () => {
    const fleet = new Fleet();
    const via = kafka("orders");
    const exit = sentBy(fleet, via.exit);
    for (const service of ["billing", "stock"]) fleet.child(exit, { service, ...via.entry });
    received(fleet, via.entry, 50, "mails");
    received(fleet, via.entry, 60, "billing");

    expect(diagnose(fleet.spans).breaks).toMatchObject([{ exit, to: "mails", exact: false }]);
  });

  test("an attribute of the application joins calls, found on the spans around both ends", () => {
    const fleet = new Fleet();
    const via = grpc("shop.v1.Orders/Place");
    const requests = ["a", "b", "c"].map((id) => {
      const root = fleet.root({ service: "gateway", kind: "SERVER", ms: 100 });
      const work = fleet.child(root, { attributes: { "order.id": id }, ms: 90 });
      return fleet.child(work, { ...via.exit, ms: 80 });
    });
    for (const id of ["c", "a", "b"]) {
      const entry = fleet.root({ service: "orders", ...via.entry, at: 10 });
      fleet.child(entry, { attributes: { "order.id": id } });
    }

    const { breaks } = diagnose(fleet.spans, { joinBy: ["order.id"] });

    expect(breaks.map(({ exit, exact }) => [exit, exact])).toEqual([
      [requests[2], true],
      [requests[0], true],
      [requests[1], true],
    ]);
  });

  test("by time a call is joined with the one that runs, a message with the one that waits longest", () => {
    const fleet = new Fleet();
    const call = grpc("shop.v1.Orders/Place");
    const calls = [0, 20].map((at) =>
      fleet.root({ service: "gateway", kind: "SERVER", at, ms: 15 }),
    );
    const [, second] = calls.map((root) => fleet.child(root, call.exit));
    fleet.root({ service: "orders", ...call.entry, at: 25 });
    const [first] = [0, 20].map((at) => sentBy(fleet, { ...kafka("orders").exit, at: at + 1 }));
    received(fleet, kafka("orders").entry, 30);

    expect(diagnose(fleet.spans).breaks).toMatchObject([
      { exit: second, exact: false },
      { exit: first, exact: false },
    ]);
  });

  test("a call that is over is not joined by time", () => {
    const fleet = new Fleet();
    const call = grpc("shop.v1.Orders/Place");
    fleet.child(fleet.root({ service: "gateway", kind: "SERVER" }), call.exit);
    fleet.root({ service: "orders", ...call.entry, at: 1000 });

    expect(diagnose(fleet.spans).breaks).toEqual([]);
  });

  test("nor is it while an earlier one still runs", () => {
    const fleet = new Fleet();
    const call = grpc("shop.v1.Orders/Place");
    const root = fleet.root({ service: "gateway", kind: "SERVER", ms: 200 });
    const running = fleet.child(root, { ...call.exit, at: 0, ms: 100 });
    fleet.child(root, { ...call.exit, at: 10, ms: 2 });
    fleet.root({ service: "orders", ...call.entry, at: 50 });

    expect(diagnose(fleet.spans).breaks).toMatchObject([{ exit: running }]);
  });

  test("HTTP halves meet by path, or by host where one of them has no path", () => {
    const fleet = new Fleet();
    const root = fleet.root({ service: "gateway", kind: "SERVER", ms: 100 });
    const attributes = {
      "http.method": "POST",
      "net.peer.name": "127.0.0.1",
      "net.peer.port": 8080,
    };
    const byHost = fleet.child(root, { kind: "CLIENT", attributes, ms: 50 });
    const byPath = fleet.child(root, { ...http("POST", "/orders").exit, ms: 50 });
    fleet.root({ service: "orders", ...http("POST", "/orders").entry, at: 5 });
    const there = {
      "http.request.method": "POST",
      "server.address": "localhost",
      "server.port": 8080,
    };
    fleet.root({
      service: "mails",
      kind: "SERVER",
      attributes: { ...there, "url.path": "/x" },
      at: 6,
    });
    fleet.root({ service: "other", ...http("POST", "/elsewhere").entry, at: 7 });

    expect(diagnose(fleet.spans).breaks).toMatchObject([
      { exit: byPath, to: "orders" },
      { exit: byHost, to: "mails" },
    ]);
  });

  test("what traces are declared to begin with is never the lower half of a hop", () => {
    const fleet = new Fleet();
    const via = http("POST", "/chat");
    const probe = fleet.root({ service: "probe", kind: "INTERNAL", ms: 100 });
    fleet.child(probe, { ...via.exit, ms: 50 });
    fleet.root({ service: "gateway", ...via.entry, at: 5 });

    expect(diagnose(fleet.spans).breaks).toHaveLength(1);
    expect(diagnose(fleet.spans, { root: { service: "gateway" } }).breaks).toEqual([]);
  });

  test.each<{ when: string; request: (fleet: Fleet, at: number) => void }>([
    {
      when: "messages wait in a queue",
      request: (fleet, at) => {
        fleet.lostHop(fleet.root({ service: "gateway", at }), "mails", kafka("mails"));
      },
    },
    {
      when: "calls all run at once",
      request: (fleet, at) => {
        const { exit, entry } = grpc("shop.v1.Orders/Place");
        const ms = 100_000;
        fleet.lostHop(
          fleet.root({ service: "gateway", at, ms }),
          "orders",
          { exit: { ...exit, ms }, entry },
          { at: 2000 + at },
        );
      },
    },
    {
      when: "calls are over before anybody comes",
      request: (fleet, at) => {
        const { exit, entry } = grpc("shop.v1.Orders/Place");
        fleet.child(fleet.root({ service: "gateway", at: 50 * at }), { ...exit, ms: 2 });
        fleet.root({ service: "orders", ...entry, at: 50 * at + 20 });
      },
    },
  ])("costs in step with the number of requests, when $when", slow, ({ request }) => {
    const requests = (size: number) => {
      const fleet = new Fleet();
      for (let at = 0; at < size; at += 1) request(fleet, at);
      return fleet.spans;
    };

    const small = workOf(requests(100), diagnose);
    const large = workOf(requests(1000), diagnose);

    expect(large / small).toBeLessThan(15);
  });

  test("finds a partner for nearly all of many requests, by time alone", () => {
    const { hops } = diagnose(lostRequests(500));

    expect(hops).toMatchObject([
      { to: "orders", ok: false },
      { to: "mails", ok: false },
    ]);
    for (const { count } of hops) expect(count).toBeGreaterThan(490);
  });
});

/** Requests one millisecond apart, each of which loses its trace on a call and on a message. */
function lostRequests(size: number): readonly Span[] {
  const fleet = new Fleet();
  const call = grpc("shop.v1.Orders/Place");
  for (let index = 0; index < size; index += 1) {
    const root = fleet.root({ service: "gateway", kind: "SERVER", at: index, ms: 20 });
    fleet.lostHop(root, "orders", call);
    fleet.lostHop(root, "mails", kafka("mails"));
  }
  return fleet.spans;
}

function sentBy(fleet: Fleet, exit: Parameters<Fleet["child"]>[1]): Span {
  return fleet.child(fleet.root({ service: "gateway", kind: "SERVER" }), exit);
}

function received(
  fleet: Fleet,
  entry: Parameters<Fleet["root"]>[0],
  at: number,
  service = "orders",
): Span {
  return fleet.root({ service, ...entry, at });
}
