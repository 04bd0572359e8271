import fc from "fast-check";
import stringWidth from "string-width";
import { describe, expect, test } from "vitest";
import { assembleTraces } from "../assemble.js";
import { diagnose } from "../diagnose/index.js";
import type { Span } from "../span.js";
import { grpc, kafka, SLOW_TEST, SpanFactory } from "../span-factory.test-support.js";
import { countSteps } from "../step-count.test-support.js";
import { renderWaterfall } from "./index.js";
import { chatRequest } from "./jeeves.test-support.js";

describe("a waterfall", () => {
  test.each([40, 80, 200])("of a whole trace, %i columns wide", (width) => {
    expect(renderWaterfall(chatRequest().spans, { width })).toMatchSnapshot();
  });

  test.each([40, 80, 200])("of a broken trace, %i columns wide", (width) => {
    const { spans } = chatRequest("kafka");

    const text = renderWaterfall(spans, { width, diagnosis: diagnose(spans) });

    expect(text).toMatchSnapshot();
    expect(text.replaceAll(/\s+/g, " ")).toContain("✗ NOT_INJECTED");
    expect(text.match(/^trace /gm)).toHaveLength(1);
  });

  test("has no colours unless asked, and one for each service then", () => {
    const { spans } = chatRequest("grpc");
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
    const { spans } = chatRequest("grpc");
    const [lost] = spans.filter((span) => span.name === "send jeeves.agents.requests");

    const text = renderWaterfall(spans.filter((span) => span !== lost));

    expect(text.match(/^trace /gm)).toHaveLength(2);
    expect(text).toContain(`✗ its parent ${lost?.spanId} never arrived\n└─ jeeves-agents: process`);
  });

  test("marks spans that began before their parent in another process, and gives the clock skew", () => {
    const spanFactory = new SpanFactory();
    const root = spanFactory.root({ service: "gateway", at: 50 });
    spanFactory.hop(root, "orders", grpc("shop.Orders/Place"), { at: 40 });

    const text = renderWaterfall(spanFactory.spans);

    expect(text).toMatch(/orders: shop\.Orders\/Place +SERVER +~\+0ms/);
    expect(text).toContain("(by up to 11.0ms): their clocks differ");
  });

  test("draws a linked trace below what it is linked to", () => {
    const spanFactory = new SpanFactory();
    const root = spanFactory.root({ service: "gateway" });
    const exit = spanFactory.child(root, kafka("orders").exit);
    const link = { ...exit, attributes: {}, flags: undefined };
    spanFactory.root({ service: "billing", ...kafka("orders").entry, at: 3, links: [link] });

    const text = renderWaterfall(spanFactory.spans, { diagnosis: diagnose(spanFactory.spans) });

    expect(text).toContain("~ LINK_NOT_PARENT: gateway → billing, kafka orders");
    expect(text.match(/^trace /gm)).toHaveLength(1);
  });

  test("draws the first span of a lost half that is not in its input", () => {
    const { spans } = chatRequest("grpc");
    const [first] = assembleTraces(spans);

    const text = first && renderWaterfall(first, { width: 120, diagnosis: diagnose(spans) });

    expect(text).toContain("└─ jeeves-orchestrator: jeeves.v1.Orchestrator/ExecutePipeline");
    expect(text).not.toContain("pipeline.execute");
  });

  test("folds spans above the limit, but never a break and the spans that lead to it", () => {
    const spanFactory = new SpanFactory();
    const root = spanFactory.root({ service: "gateway", kind: "SERVER", ms: 1000 });
    for (let index = 0; index < 500; index += 1)
      spanFactory.child(root, { name: "row", at: index });
    const deep = spanFactory.child(spanFactory.child(root, { name: "a", at: 600, ms: 90 }), {
      name: "b",
      ms: 80,
    });
    spanFactory.lostHop(deep, "orders", grpc("shop.Orders/Place"));

    const text = renderWaterfall(spanFactory.spans, {
      maxSpans: 20,
      diagnosis: diagnose(spanFactory.spans),
    });

    expect(text.split("\n").length).toBeLessThan(32);
    expect(text).toContain("505 spans");
    expect(text).toContain("✗ NOT_INJECTED: gateway → orders");
    expect(text).toContain("orders: shop.Orders/Place");
    expect(text).toContain("… 485 more spans: row ×485");
  });

  test("folds whole traces when there are too many", () => {
    const spanFactory = new SpanFactory();
    for (let index = 0; index < 50; index += 1)
      spanFactory.child(spanFactory.root({ at: index }), {});

    const text = renderWaterfall(spanFactory.spans, { maxSpans: 10 });

    expect(text).toContain("… 40 more traces of 80 spans");
  });

  test("is empty for nothing", () => {
    expect(renderWaterfall([])).toBe("");
  });

  test("escapes control characters", () => {
    const spanFactory = new SpanFactory();
    spanFactory.root({
      service: "evil\u001b[2J\u009b1m",
      name: "line\nbreak \u202edesrever\u2028 tab\t",
    });

    const text = renderWaterfall(spanFactory.spans, { width: 150 });

    expect(text).toContain("evil\\x1b[2J\\x9b1m: line\\x0abreak \\u202edesrever\\u2028 tab\\x09");
    expect(text.split("\n")).toHaveLength(2);
  });

  test("counts columns, not characters, of names in any script", () => {
    const spanFactory = new SpanFactory();
    const root = spanFactory.root({ service: "注文サービス", name: "注文を処理する".repeat(10) });
    spanFactory.child(root, { name: "👩‍👩‍👧‍👦 família naïve ไทย" });

    for (const line of renderWaterfall(spanFactory.spans, { width: 80 }).split("\n").slice(1)) {
      expect(stringWidth(line.replace(/ ?█+$/, "").trimEnd())).toBe(69);
    }
  });

  test(
    "never draws a line wider than asked nor a control character, whatever the spans are",
    SLOW_TEST,
    () => {
      const name = fc.string({ unit: "binary", maxLength: 300 });
      const spanOptions = fc.record({
        parent: fc.nat(20),
        lost: fc.boolean(),
        service: fc.oneof(name, fc.constantFrom("a", "b")),
        name,
        at: fc.integer({ min: -1_000_000_000, max: 2_000_000_000 }),
        ms: fc.integer({ min: -1000, max: 2_000_000_000 }),
      });
      fc.assert(
        fc.property(
          fc.array(spanOptions, { minLength: 1, maxLength: 20 }),
          fc.integer({ min: 40, max: 200 }),
          fc.integer({ min: 0, max: 25 }),
          (allOptions, width, maxSpans) => {
            const spanFactory = new SpanFactory();
            for (const { parent, lost, ...rest } of allOptions) {
              const parentSpan = spanFactory.spans[parent % (spanFactory.spans.length + 1)];
              if (parentSpan === undefined) spanFactory.root({ ...rest, kind: "SERVER" });
              else if (lost) spanFactory.lostHop(parentSpan, rest.service, grpc(rest.name), rest);
              else spanFactory.hop(parentSpan, rest.service, grpc(rest.name), rest);
            }

            const text = renderWaterfall(spanFactory.spans, {
              width,
              maxSpans,
              diagnosis: diagnose(spanFactory.spans),
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

  test("costs in step with the length of a chain of spans", SLOW_TEST, () => {
    const chainOf = (size: number) => {
      const spanFactory = new SpanFactory();
      for (let index = 0, span = spanFactory.root({}); index < size; index += 1) {
        span = spanFactory.child(span, {});
      }
      return spanFactory.spans;
    };
    const draw = (spans: readonly Span[]) => renderWaterfall(spans, { maxSpans: 2000 });

    const small = countSteps(chainOf(100), draw);
    const large = countSteps(chainOf(1000), draw);

    expect(draw(chainOf(1000)).split("\n")).toHaveLength(1002);
    expect(large / small).toBeLessThan(15);
  });
});
