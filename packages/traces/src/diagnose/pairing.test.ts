import { describe, expect, test } from "vitest";
import type { Span } from "../span.js";
import { bullmq, grpc, http, kafka, SLOW_TEST, SpanFactory } from "../span-factory.test-support.js";
import { countSteps } from "../step-count.test-support.js";
import { diagnose } from "./index.js";

describe("joining the halves of a broken hop", () => {
  test("a record's partition and offset join the right request, in whichever order they are processed", () => {
    const spanFactory = new SpanFactory();
    const exits = [0, 1, 2].map((offset) =>
      sentBy(spanFactory, kafka("orders", { partition: 3, offset }).exit),
    );
    const entries = [2, 0, 1].map((offset, index) =>
      received(spanFactory, kafka("orders", { partition: 3, offset }).entry, 50 + index),
    );

    const { breaks } = diagnose(spanFactory.spans);

    expect(breaks.map(({ exit, exact }) => [exit, exact])).toEqual([
      [exits[2], true],
      [exits[0], true],
      [exits[1], true],
    ]);
    expect(breaks.map(({ entry }) => entry)).toEqual(entries);
  });

  test("old attribute names on one side and new ones on the other are the same key", () => {
    const spanFactory = new SpanFactory();
    const exit = sentBy(spanFactory, kafka("orders", { partition: 1, offset: 7 }).exit);
    sentBy(spanFactory, kafka("orders", { partition: 1, offset: 8 }).exit);
    const old = {
      "messaging.system": "kafka",
      "messaging.destination.name": "orders",
      "messaging.kafka.destination.partition": 1,
      "messaging.kafka.message.offset": "7",
    };
    received(spanFactory, { name: "orders process", kind: "CONSUMER", attributes: old }, 50);

    expect(diagnose(spanFactory.spans).breaks).toMatchObject([{ exit, exact: true }]);
  });

  test("a job's id joins the right request", () => {
    const spanFactory = new SpanFactory();
    const exits = ["11", "12"].map((id) => sentBy(spanFactory, bullmq("mails", id).exit));
    received(spanFactory, bullmq("mails", "12").entry, 50);

    expect(diagnose(spanFactory.spans).breaks).toMatchObject([{ exit: exits[1], exact: true }]);
  });

  test("a job that is tried twice is two broken deliveries of one sender", () => {
    const spanFactory = new SpanFactory();
    const exit = sentBy(spanFactory, bullmq("mails", "11").exit);
    for (const at of [50, 80]) received(spanFactory, bullmq("mails", "11").entry, at);

    expect(diagnose(spanFactory.spans).breaks).toMatchObject([{ exit }, { exit }]);
  });

  test("of three consumer groups only the one that lost the trace is named", () => {
    const spanFactory = new SpanFactory();
    const via = kafka("orders", { partition: 0, offset: 1 });
    const exit = sentBy(spanFactory, via.exit);
    for (const service of ["billing", "stock"]) spanFactory.child(exit, { service, ...via.entry });
    received(spanFactory, via.entry, 50, "mails");

    expect(diagnose(spanFactory.spans).breaks).toMatchObject([{ exit, to: "mails", exact: true }]);
  });

  test("the same without any key: a group that never continues a sender is one that lost it", () => {
    const spanFactory = new SpanFactory();
    const via = kafka("orders");
    const exit = sentBy(spanFactory, via.exit);
    for (const service of ["billing", "stock"]) spanFactory.child(exit, { service, ...via.entry });
    received(spanFactory, via.entry, 50, "mails");
    received(spanFactory, via.entry, 60, "billing");

    expect(diagnose(spanFactory.spans).breaks).toMatchObject([{ exit, to: "mails", exact: false }]);
  });

  test("an attribute of the application joins calls, found on the spans around both ends", () => {
    const spanFactory = new SpanFactory();
    const via = grpc("shop.v1.Orders/Place");
    const requests = ["a", "b", "c"].map((id) => {
      const root = spanFactory.root({ service: "gateway", kind: "SERVER", ms: 100 });
      const work = spanFactory.child(root, { attributes: { "order.id": id }, ms: 90 });
      return spanFactory.child(work, { ...via.exit, ms: 80 });
    });
    for (const id of ["c", "a", "b"]) {
      const entry = spanFactory.root({ service: "orders", ...via.entry, at: 10 });
      spanFactory.child(entry, { attributes: { "order.id": id } });
    }

    const { breaks } = diagnose(spanFactory.spans, { joinBy: ["order.id"] });

    expect(breaks.map(({ exit, exact }) => [exit, exact])).toEqual([
      [requests[2], true],
      [requests[0], true],
      [requests[1], true],
    ]);
  });

  test("by time a call is joined with the one that runs, a message with the one that waits longest", () => {
    const spanFactory = new SpanFactory();
    const call = grpc("shop.v1.Orders/Place");
    const calls = [0, 20].map((at) =>
      spanFactory.root({ service: "gateway", kind: "SERVER", at, ms: 15 }),
    );
    const [, second] = calls.map((root) => spanFactory.child(root, call.exit));
    spanFactory.root({ service: "orders", ...call.entry, at: 25 });
    const [first] = [0, 20].map((at) =>
      sentBy(spanFactory, { ...kafka("orders").exit, at: at + 1 }),
    );
    received(spanFactory, kafka("orders").entry, 30);

    expect(diagnose(spanFactory.spans).breaks).toMatchObject([
      { exit: second, exact: false },
      { exit: first, exact: false },
    ]);
  });

  test("a call that is over is not joined by time", () => {
    const spanFactory = new SpanFactory();
    const call = grpc("shop.v1.Orders/Place");
    spanFactory.child(spanFactory.root({ service: "gateway", kind: "SERVER" }), call.exit);
    spanFactory.root({ service: "orders", ...call.entry, at: 1000 });

    expect(diagnose(spanFactory.spans).breaks).toEqual([]);
  });

  test("nor is it while an earlier call still runs", () => {
    const spanFactory = new SpanFactory();
    const call = grpc("shop.v1.Orders/Place");
    const root = spanFactory.root({ service: "gateway", kind: "SERVER", ms: 200 });
    const running = spanFactory.child(root, { ...call.exit, at: 0, ms: 100 });
    spanFactory.child(root, { ...call.exit, at: 10, ms: 2 });
    spanFactory.root({ service: "orders", ...call.entry, at: 50 });

    expect(diagnose(spanFactory.spans).breaks).toMatchObject([{ exit: running }]);
  });

  test("HTTP halves meet by path, or by host where one of them has no path", () => {
    const spanFactory = new SpanFactory();
    const root = spanFactory.root({ service: "gateway", kind: "SERVER", ms: 100 });
    const attributes = {
      "http.method": "POST",
      "net.peer.name": "127.0.0.1",
      "net.peer.port": 8080,
    };
    const byHost = spanFactory.child(root, { kind: "CLIENT", attributes, ms: 50 });
    const byPath = spanFactory.child(root, { ...http("POST", "/orders").exit, ms: 50 });
    spanFactory.root({ service: "orders", ...http("POST", "/orders").entry, at: 5 });
    const address = {
      "http.request.method": "POST",
      "server.address": "localhost",
      "server.port": 8080,
    };
    spanFactory.root({
      service: "mails",
      kind: "SERVER",
      attributes: { ...address, "url.path": "/x" },
      at: 6,
    });
    spanFactory.root({ service: "other", ...http("POST", "/elsewhere").entry, at: 7 });

    expect(diagnose(spanFactory.spans).breaks).toMatchObject([
      { exit: byPath, to: "orders" },
      { exit: byHost, to: "mails" },
    ]);
  });

  test("what traces are declared to begin with is never the lower half of a hop", () => {
    const spanFactory = new SpanFactory();
    const via = http("POST", "/chat");
    const probe = spanFactory.root({ service: "probe", kind: "INTERNAL", ms: 100 });
    spanFactory.child(probe, { ...via.exit, ms: 50 });
    spanFactory.root({ service: "gateway", ...via.entry, at: 5 });

    expect(diagnose(spanFactory.spans).breaks).toHaveLength(1);
    expect(diagnose(spanFactory.spans, { root: { service: "gateway" } }).breaks).toEqual([]);
  });

  test.each<{ when: string; request: (spanFactory: SpanFactory, at: number) => void }>([
    {
      when: "messages wait in a queue",
      request: (spanFactory, at) => {
        spanFactory.lostHop(spanFactory.root({ service: "gateway", at }), "mails", kafka("mails"));
      },
    },
    {
      when: "calls all run at once",
      request: (spanFactory, at) => {
        const { exit, entry } = grpc("shop.v1.Orders/Place");
        const ms = 100_000;
        spanFactory.lostHop(
          spanFactory.root({ service: "gateway", at, ms }),
          "orders",
          { exit: { ...exit, ms }, entry },
          { at: 2000 + at },
        );
      },
    },
    {
      when: "calls are over before a callee begins",
      request: (spanFactory, at) => {
        const { exit, entry } = grpc("shop.v1.Orders/Place");
        spanFactory.child(spanFactory.root({ service: "gateway", at: 50 * at }), {
          ...exit,
          ms: 2,
        });
        spanFactory.root({ service: "orders", ...entry, at: 50 * at + 20 });
      },
    },
  ])("costs in step with the number of requests, when $when", SLOW_TEST, ({ request }) => {
    const requests = (size: number) => {
      const spanFactory = new SpanFactory();
      for (let at = 0; at < size; at += 1) request(spanFactory, at);
      return spanFactory.spans;
    };

    const small = countSteps(requests(100), diagnose);
    const large = countSteps(requests(1000), diagnose);

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
  const spanFactory = new SpanFactory();
  const call = grpc("shop.v1.Orders/Place");
  for (let index = 0; index < size; index += 1) {
    const root = spanFactory.root({ service: "gateway", kind: "SERVER", at: index, ms: 20 });
    spanFactory.lostHop(root, "orders", call);
    spanFactory.lostHop(root, "mails", kafka("mails"));
  }
  return spanFactory.spans;
}

function sentBy(spanFactory: SpanFactory, exit: Parameters<SpanFactory["child"]>[1]): Span {
  return spanFactory.child(spanFactory.root({ service: "gateway", kind: "SERVER" }), exit);
}

function received(
  spanFactory: SpanFactory,
  entry: Parameters<SpanFactory["root"]>[0],
  at: number,
  service = "orders",
): Span {
  return spanFactory.root({ service, ...entry, at });
}
