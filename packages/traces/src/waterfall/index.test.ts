import fc from "fast-check";
import stringWidth from "string-width";
import { describe, expect, test } from "vitest";
import { assembleTraces } from "../assemble.js";
import { diagnose } from "../diagnose/index.js";
import type { Span } from "../span.js";
import { Fleet, grpc, kafka, slow } from "../span-factory.test-support.js";
import { workOf } from "../work.test-support.js";
import { renderWaterfall } from "./index.js";
import { chat } from "./jeeves.test-support.js";

describe("a waterfall", () => {
  test.each([40, 80, 200])("of a whole trace, %i columns wide", (width) => {
    expect(renderWaterfall(chat().spans, { width })).toMatchSnapshot();
  });

  test.each([40, 80, 200])("of a broken trace, %i columns wide", (width) => {
    const { spans } = chat("kafka");

    const text = renderWaterfall(spans, { width, diagnosis: diagnose(spans) });

    expect(text).toMatchSnapshot();
    expect(text.replaceAll(/\s+/g, " ")).toContain("✗ NOT_INJECTED");
    expect(text.match(/^trace /gm)).toHaveLength(1);
  });

  test("has no colours unless asked, and one for each service then", () => {
    const { spans } = chat("grpc");
    const diagnosis = diagnose(spans);

    const plain = renderWaterfall(spans, { diagnosis });
    const colored = renderWaterfall(spans, { diagnosis, color: true });

    expect(plain).not.toContain("\u001b");
    expect(colored).toContain("\u001b[36mjeeves-gateway: ");
    expect(colored).toContain("\u001b[35mjeeves-orchestrator: ");
    expect(colored).toContain("\u001b[31m✗ NOT_INJECTED");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control characters
    expect(colored.replaceAll(/\u001b\[\d+m/g, "")).toBe(plain);
  });

  test("without a diagnosis draws both halves, and says that the parent of an orphan is missing", () => {
    const { spans } = chat("grpc");
    const [lost] = spans.filter((span) => span.name === "send jeeves.agents.requests");

    const text = renderWaterfall(spans.filter((span) => span !== lost));

    expect(text.match(/^trace /gm)).toHaveLength(2);
    expect(text).toContain(`✗ its parent ${lost?.spanId} never arrived\n└─ jeeves-agents: process`);
  });

  test("marks what began before its parent in another process, and says how far the clocks differ", () => {
    const fleet = new Fleet();
    const root = fleet.root({ service: "gateway", at: 50 });
    fleet.hop(root, "orders", grpc("shop.Orders/Place"), { at: 40 });

    const text = renderWaterfall(fleet.spans);

    expect(text).toMatch(/orders: shop\.Orders\/Place +SERVER +~\+0ms/);
    expect(text).toContain("(by up to 11.0ms): their clocks differ");
  });

  test("draws a linked trace below what it is linked to", () => {
    const fleet = new Fleet();
    const root = fleet.root({ service: "gateway" });
    const exit = fleet.child(root, kafka("orders").exit);
    const link = { ...exit, attributes: {}, flags: undefined };
    fleet.root({ service: "billing", ...kafka("orders").entry, at: 3, links: [link] });

    const text = renderWaterfall(fleet.spans, { diagnosis: diagnose(fleet.spans) });

    expect(text).toContain("~ LINK_NOT_PARENT: gateway → billing, kafka orders");
    expect(text.match(/^trace /gm)).toHaveLength(1);
  });

  test("stands in for a lost half that is not drawn by its first span", () => {
    const { spans } = chat("grpc");
    const [first] = assembleTraces(spans);

    const text = first && renderWaterfall(first, { width: 120, diagnosis: diagnose(spans) });

    expect(text).toContain("└─ jeeves-orchestrator: jeeves.v1.Orchestrator/ExecutePipeline");
    expect(text).not.toContain("pipeline.execute");
  });

  test("folds what is too much, but never a break and the way to it", () => {
    const fleet = new Fleet();
    const root = fleet.root({ service: "gateway", kind: "SERVER", ms: 1000 });
    for (let index = 0; index < 500; index += 1) fleet.child(root, { name: "row", at: index });
    const deep = fleet.child(fleet.child(root, { name: "a", at: 600, ms: 90 }), {
      name: "b",
      ms: 80,
    });
    fleet.lostHop(deep, "orders", grpc("shop.Orders/Place"));

    const text = renderWaterfall(fleet.spans, { maxSpans: 20, diagnosis: diagnose(fleet.spans) });

    expect(text.split("\n").length).toBeLessThan(32);
    expect(text).toContain("505 spans");
    expect(text).toContain("✗ NOT_INJECTED: gateway → orders");
    expect(text).toContain("orders: shop.Orders/Place");
    expect(text).toContain("… 485 more spans: row ×485");
  });

  test("folds whole traces when there are too many", () => {
    const fleet = new Fleet();
    for (let index = 0; index < 50; index += 1) fleet.child(fleet.root({ at: index }), {});

    const text = renderWaterfall(fleet.spans, { maxSpans: 10 });

    expect(text).toContain("… 40 more traces of 80 spans");
  });

  test("is empty for nothing", () => {
    expect(renderWaterfall([])).toBe("");
  });

  test("writes out what a terminal would obey", () => {
    const fleet = new Fleet();
    fleet.root({
      service: "evil\u001b[2J\u009b1m",
      name: "line\nbreak \u202edesrever\u2028 tab\t",
    });

    const text = renderWaterfall(fleet.spans, { width: 150 });

    expect(text).toContain("evil\\x1b[2J\\x9b1m: line\\x0abreak \\u202edesrever\\u2028 tab\\x09");
    expect(text.split("\n")).toHaveLength(2);
  });

  test("counts columns, not characters, of names in any script", () => {
    const fleet = new Fleet();
    const root = fleet.root({ service: "注文サービス", name: "注文を処理する".repeat(10) });
    fleet.child(root, { name: "👩‍👩‍👧‍👦 família naïve ไทย" });

    for (const line of renderWaterfall(fleet.spans, { width: 80 }).split("\n").slice(1)) {
      expect(stringWidth(line.replace(/ ?█+$/, "").trimEnd())).toBe(69);
    }
  });

  test(
    "never draws a line wider than asked nor a control character, whatever the spans are",
    slow,
    () => {
      const name = fc.string({ unit: "binary", maxLength: 300 });
      const wish = fc.record({
        parent: fc.nat(20),
        lost: fc.boolean(),
        service: fc.oneof(name, fc.constantFrom("a", "b")),
        name,
        at: fc.integer({ min: -1_000_000_000, max: 2_000_000_000 }),
        ms: fc.integer({ min: -1000, max: 2_000_000_000 }),
      });
      fc.assert(
        fc.property(
          fc.array(wish, { minLength: 1, maxLength: 20 }),
          fc.integer({ min: 40, max: 200 }),
          fc.integer({ min: 0, max: 25 }),
          (wishes, width, maxSpans) => {
            const fleet = new Fleet();
            for (const { parent, lost, ...rest } of wishes) {
              const above = fleet.spans[parent % (fleet.spans.length + 1)];
              if (above === undefined) fleet.root({ ...rest, kind: "SERVER" });
              else if (lost) fleet.lostHop(above, rest.service, grpc(rest.name), rest);
              else fleet.hop(above, rest.service, grpc(rest.name), rest);
            }

            const text = renderWaterfall(fleet.spans, {
              width,
              maxSpans,
              diagnosis: diagnose(fleet.spans),
            });

            for (const line of text.split("\n")) {
              expect(stringWidth(line), line).toBeLessThanOrEqual(width);
              expect(line).not.toMatch(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u);
            }
          },
        ),
      );
    },
  );

  test("costs in step with the length of a chain of spans", slow, () => {
    const chainOf = (size: number) => {
      const fleet = new Fleet();
      for (let index = 0, span = fleet.root({}); index < size; index += 1) {
        span = fleet.child(span, {});
      }
      return fleet.spans;
    };
    const draw = (spans: readonly Span[]) => renderWaterfall(spans, { maxSpans: 2000 });

    const small = workOf(chainOf(100), draw);
    const large = workOf(chainOf(1000), draw);

    expect(draw(chainOf(1000)).split("\n")).toHaveLength(1002);
    expect(large / small).toBeLessThan(15);
  });
});
