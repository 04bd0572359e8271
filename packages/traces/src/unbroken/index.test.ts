import { describe, expect, test } from "vitest";
import type { Span } from "../span.js";
import { bullmq, grpc, http, kafka, SpanFactory } from "../span-factory.test-support.js";
import { chatRequest } from "../waterfall/jeeves.test-support.js";
import type { UnbrokenExpectation } from "./expectation.js";
import { evaluateUnbroken } from "./index.js";

const PATH = [
  "jeeves-gateway",
  "jeeves-orchestrator",
  "jeeves-agents",
  "jeeves-planner-worker",
  "jeeves-llm-gateway",
];
const PLACE_ORDER = grpc("shop.v1.Orders/Place");

describe("a whole trace passes", () => {
  const expectations: Readonly<Record<string, UnbrokenExpectation>> = {
    "with nothing else expected": {},
    "along its path": { path: PATH },
    "along a part of it": { path: PATH.slice(2, 4) },
    "along several branches": { paths: [PATH, [...PATH.slice(0, 4), "jeeves-orchestrator"]] },
    "with its root": { root: { service: "jeeves-gateway", kind: "SERVER" } },
    "with its services": { services: PATH.toReversed() },
    "with its number of spans": { spans: 16 },
    "by its id": { traceId: "1".padStart(32, "0") },
  };

  test.each(Object.keys(expectations))("%s", (name) => {
    const { pass, message } = evaluateUnbroken(chatRequest().spans, expectations[name]);

    expect(pass, message).toBe(true);
    expect(message).toContain("expected anything but one unbroken trace");
  });

  test("of many, each on its own", () => {
    const spans = requests(20);

    expect(evaluateUnbroken(spans, { traces: 20, path: ["gateway", "orders"] }).pass).toBe(true);
    expect(evaluateUnbroken(spans, { traces: 21 }).message).toContain(
      "20 separate traces arrived instead of 21",
    );
  });

  test("whose root was called from outside, when that is allowed", () => {
    const { spans } = chatRequest();
    const called = spans.map((span) =>
      span.parentSpanId === undefined
        ? { ...span, parentSpanId: "f".repeat(16), flags: 0x301 }
        : span,
    );
    const root = { service: "jeeves-gateway" };

    expect(evaluateUnbroken(called, { root, path: PATH, remoteRoot: true }).pass).toBe(true);
    const { pass, message } = evaluateUnbroken(called, { root, path: PATH });
    expect(pass).toBe(false);
    expect(message).toContain("no root: every span names a parent (remoteRoot: true");
  });

  test("beside other traces, when its id is given", () => {
    const spanFactory = new SpanFactory();
    const root = spanFactory.root({ service: "gateway" });
    spanFactory.hop(root, "orders", PLACE_ORDER);
    spanFactory.root({ service: "cron" });

    expect(evaluateUnbroken(spanFactory.spans, { traceId: root.traceId }).pass).toBe(true);
    expect(evaluateUnbroken(spanFactory.spans).message).toContain(
      "2 separate traces arrived instead of 1",
    );
  });

  test("beside a timer of its own process, when its id is given", () => {
    const spanFactory = new SpanFactory();
    const root = spanFactory.root({ service: "gateway", kind: "SERVER", ms: 50 });
    spanFactory.hop(root, "orders", PLACE_ORDER);
    spanFactory.root({ service: "gateway", kind: "INTERNAL", name: "refresh keys", at: 5 });

    expect(evaluateUnbroken(spanFactory.spans, { traceId: root.traceId }).pass).toBe(true);
    expect(evaluateUnbroken(spanFactory.spans).message).toContain(
      "gateway → gateway (refresh keys) is IN_PROCESS_LOSS",
    );
  });

  test("over a link, when links are allowed", () => {
    const { spans, exit } = linked();

    expect(evaluateUnbroken(spans, { path: ["gateway", "billing"], allowLinks: true }).pass).toBe(
      true,
    );
    expect(evaluateUnbroken(spans, { spans: 4, allowLinks: true }).pass).toBe(true);
    // Without it the traces are two; and named by its id, the first is whole as far as it goes.
    expect(evaluateUnbroken(spans).message).toContain("is LINK_NOT_PARENT");
    expect(evaluateUnbroken(spans, { traceId: exit.traceId }).pass).toBe(true);
    const { pass, message } = evaluateUnbroken(spans, {
      traceId: exit.traceId,
      path: ["gateway", "billing"],
    });
    expect(pass).toBe(false);
    expect(message).toContain(
      "ends at gateway: gateway → billing (kafka orders) is LINK_NOT_PARENT",
    );
  });

  test("when messages outlive their senders and clocks differ a little", () => {
    const spanFactory = new SpanFactory();
    const root = spanFactory.root({ service: "gateway", ms: 5, at: 60 });
    spanFactory.hop(root, "orders", kafka("orders"), { at: 4000, ms: 9000 });
    spanFactory.hop(root, "mails", bullmq("mails"), { at: 10 });

    expect(evaluateUnbroken(spanFactory.spans).pass).toBe(true);
    expect(evaluateUnbroken(spanFactory.spans, { toleranceMs: 20 }).message).toMatch(
      /of mails began 51 ms before its parent "send mails"/,
    );
  });

  test("through senders that are no exit spans but name the same system", () => {
    const spanFactory = new SpanFactory();
    const root = spanFactory.root({ service: "gateway" });
    const sender = spanFactory.child(root, { ...kafka("orders").exit, kind: "INTERNAL" });
    spanFactory.child(sender, { service: "orders", ...kafka("orders").entry });

    expect(evaluateUnbroken(spanFactory.spans, { path: ["gateway", "orders"] }).pass).toBe(true);
  });
});

describe("a broken trace fails", () => {
  test.each([
    {
      cut: "grpc",
      at: "jeeves-gateway → jeeves-orchestrator (grpc jeeves.v1.Orchestrator/ExecutePipeline)",
    },
    { cut: "kafka", at: "jeeves-orchestrator → jeeves-agents (kafka jeeves.agents.requests)" },
    { cut: "bullmq", at: "jeeves-agents → jeeves-planner-worker (bullmq jeeves-planner)" },
  ] as const)(
    "at the $cut hop, by name, with a verdict, a hint and the waterfall",
    ({ cut, at }) => {
      const { pass, message } = evaluateUnbroken(chatRequest(cut).spans, { path: PATH });

      expect(pass).toBe(false);
      expect(message).toContain(`${at} is NOT_INJECTED: `);
      expect(message).toMatch(new RegExp(`✗ ${at.split(" (")[0]}`));
      expect(message.match(/✓ /g)).toHaveLength(4);
      expect(message).toContain("fix: register a W3C propagator");
      expect(message).toContain("trace 00000000000000000000000000000001: 16 spans");
    },
  );

  test("with its whole message", () => {
    expect(evaluateUnbroken(chatRequest("kafka").spans, { path: PATH }).message).toMatchSnapshot();
  });

  test("by its id too, though the other half has another one", () => {
    const { pass, message } = evaluateUnbroken(chatRequest("kafka").spans, {
      traceId: "1".padStart(32, "0"),
    });

    expect(pass).toBe(false);
    expect(message).toContain("jeeves-agents (kafka jeeves.agents.requests) is NOT_INJECTED");
  });

  test("one among many is the one that is drawn", () => {
    const spans = requests(20, 7);

    const { pass, message } = evaluateUnbroken(spans, { traces: 20, path: ["gateway", "orders"] });

    expect(pass).toBe(false);
    expect(message).toContain(`trace ${"8".padStart(32, "0")}: gateway → orders`);
    expect(message).toMatch(/✓ gateway → orders {2}grpc shop.v1.Orders\/Place {2}×19/);
    expect(message.match(/^trace /gm)).toHaveLength(1);
  });

  test("many among many are counted, not all explained", () => {
    const { message } = evaluateUnbroken(requests(20, 3, 4, 5, 6, 7, 8), { traces: 20 });

    expect(message).toContain("… and 3 more of 20 traces are broken");
  });

  test("when a parent is missing", () => {
    const { spans } = chatRequest();
    const incomplete = spans.filter((span) => span.name !== "send jeeves-planner");

    const { message } = evaluateUnbroken(incomplete, { path: PATH });

    expect(message).toContain(
      "jeeves-planner-worker (bullmq jeeves-planner) is PARENT_NOT_EXPORTED",
    );
  });

  test("when it has two roots", () => {
    const spanFactory = new SpanFactory();
    const root = spanFactory.root({ service: "a", name: "one" });
    const other = { ...spanFactory.root({ service: "b", name: "two" }), traceId: root.traceId };

    const { message } = evaluateUnbroken([root, other]);

    expect(message).toContain(
      '2 roots instead of one: "one" (INTERNAL) of a, "two" (INTERNAL) of b',
    );
  });

  test("when the root is another one", () => {
    const { message } = evaluateUnbroken(chatRequest().spans, {
      root: { service: "jeeves-agents" },
    });

    expect(message).toContain(
      'the root is "POST /api/v1/chat" (SERVER) of jeeves-gateway, expected was {"service":"jeeves-agents"}',
    );
  });

  test("when services or spans are missing or too many", () => {
    const { message } = evaluateUnbroken(chatRequest().spans, {
      services: [...PATH.slice(1), "jeeves-tools-worker"],
      spans: 20,
    });

    expect(message).toContain("no span of jeeves-tools-worker in this trace");
    expect(message).toContain("not expected to take part: jeeves-gateway");
    expect(message).toContain("16 spans instead of 20");
  });

  test.each([
    { path: ["gateway", "orders", "mails"], why: "ends at orders: no span of mails arrived" },
    { path: ["gateway", "stock"], why: "ends at gateway: stock took part, but not below gateway" },
    { path: ["mails"], why: "no span of mails arrived" },
    { path: ["gateway", "cron"], why: "ends at gateway: cron sent spans, but none in this trace" },
    {
      path: ["gateway", "worker"],
      why: 'ends at gateway: "job" of worker continues "work" of gateway, which is INTERNAL and no exit',
    },
  ])("when the path $path is not there: $why", ({ path: wanted, why }) => {
    const spanFactory = new SpanFactory();
    const root = spanFactory.root({ service: "gateway" });
    const [, orders] = spanFactory.hop(root, "orders", PLACE_ORDER);
    spanFactory.hop(orders, "stock", http("GET", "/stock"));
    const work = spanFactory.child(root, { name: "work" });
    spanFactory.child(work, { service: "worker", name: "job", kind: "CONSUMER" });
    spanFactory.root({ service: "cron" });

    const { pass, message } = evaluateUnbroken(spanFactory.spans, {
      traceId: root.traceId,
      path: wanted,
    });

    expect(pass).toBe(false);
    expect(message).toContain(`path ${wanted.join(" → ")}`);
    expect(message).toContain(why);
  });

  test("at the end of its path, though another branch held the same hop before", () => {
    const spanFactory = new SpanFactory();
    const root = spanFactory.root({ service: "gateway" });
    const [, stock] = spanFactory.hop(root, "stock", http("GET", "/stock"));
    const [, other] = spanFactory.hop(stock, "orders", PLACE_ORDER);
    spanFactory.hop(other, "mails", bullmq("mails"));
    const [, orders] = spanFactory.hop(root, "orders", PLACE_ORDER, { at: 50 });
    spanFactory.lostHop(orders, "mails", bullmq("mails"));

    const { message } = evaluateUnbroken(spanFactory.spans, {
      traceId: root.traceId,
      path: ["gateway", "orders", "mails"],
    });

    expect(message).toContain(
      "ends at orders: orders → mails (bullmq mails) is DROPPED_IN_TRANSIT",
    );
  });

  test("at the end of its path, though other hops from there and to there broke before", () => {
    const spanFactory = new SpanFactory();
    const root = spanFactory.root({ service: "gateway" });
    spanFactory.lostHop(root, "mails", bullmq("greetings"));
    const [, orders] = spanFactory.hop(root, "orders", PLACE_ORDER, { at: 50 });
    spanFactory.lostHop(orders, "stock", http("GET", "/stock"));
    spanFactory.lostHop(orders, "mails", bullmq("mails"), { at: 60 });

    const { message } = evaluateUnbroken(spanFactory.spans, {
      traceId: root.traceId,
      path: ["gateway", "orders", "mails"],
    });

    expect(message).toContain("ends at orders: orders → mails (bullmq mails) is ");
  });

  test("when a callee claims a local parent", () => {
    const spanFactory = new SpanFactory();
    spanFactory.hop(spanFactory.root({ service: "gateway" }), "orders", PLACE_ORDER, {
      flags: 0x101,
    });

    expect(evaluateUnbroken(spanFactory.spans).message).toContain(
      '"shop.v1.Orders/Place" (SERVER) of orders claims a local parent',
    );
  });

  test("when nothing arrived", () => {
    expect(evaluateUnbroken([])).toEqual({
      pass: false,
      message: "expected one unbroken trace\nbut nothing arrived at all",
    });
    expect(evaluateUnbroken(chatRequest().spans, { traceId: "f".repeat(32) }).message).toContain(
      `no span of trace ${"f".repeat(32)} arrived`,
    );
  });
});

/** Requests from a gateway to orders, 30 ms apart; the ones named by index lose their trace. */
function requests(count: number, ...broken: readonly number[]): Span[] {
  const spanFactory = new SpanFactory();
  const roots = Array.from({ length: count }, (_, index) =>
    spanFactory.root({ service: "gateway", kind: "SERVER", at: index * 30, ms: 20 }),
  );
  roots.forEach((root, index) => {
    if (broken.includes(index)) spanFactory.lostHop(root, "orders", PLACE_ORDER);
    else spanFactory.hop(root, "orders", PLACE_ORDER);
  });
  return spanFactory.spans;
}

/** A trace and a second one whose first span links to the exit span of the first. */
function linked() {
  const spanFactory = new SpanFactory();
  const root = spanFactory.root({ service: "gateway" });
  const exit = spanFactory.child(root, kafka("orders").exit);
  const link = { ...exit, attributes: {}, flags: 0x301 };
  const entry = spanFactory.root({
    service: "billing",
    ...kafka("orders").entry,
    at: 3,
    links: [link],
  });
  spanFactory.child(entry, {});
  return { spans: spanFactory.spans, exit };
}
