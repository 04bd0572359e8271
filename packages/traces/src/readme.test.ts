import { describe, expect, test } from "vitest";
import { diagnose } from "./diagnose/index.js";
import { ReadmeUnderTest } from "./readme.test-support.js";
import { shopSpans } from "./shop.test-support.js";
import { renderWaterfall } from "./waterfall/index.js";

const readme = new ReadmeUnderTest(import.meta.url);

describe("the README", () => {
  test("shows the code of readme-example.test.ts", () => {
    const code = readme.region("readme-example.test.ts");

    expect(readme.blocks("ts")).toEqual([code.replace("./shop.test-support.js", "./shop.js")]);
  });

  test("shows the waterfall of a broken trace as it is", () => {
    const { spans } = shopSpans(true);

    const waterfall = renderWaterfall(spans, { diagnosis: diagnose(spans) });

    expect(readme.blocks("text")).toEqual([`${waterfall}\n`]);
  });

  test("lists every verdict", () => {
    const source = readme.source("diagnose/verdicts.ts");
    const codes = [...source.matchAll(/^ {2}\| "([A-Z_]+)"/gm)].map(([, code]) => code);

    expect(codes.length).toBeGreaterThan(10);
    for (const code of codes) expect(readme.text).toContain(`| \`${code}\``);
  });

  test.each([
    ["ReceiverOptions", "receiver/index.ts"],
    ["WaitOptions", "receiver/wait.ts"],
    ["DiagnoseOptions", "diagnose/index.ts"],
    ["WaterfallOptions", "waterfall/index.ts"],
  ])("lists every field of %s", (name, file) => {
    const fields = readme.fieldsOf(name, file);

    expect(fields.length).toBeGreaterThan(2);
    expect(fields.filter((field) => !readme.lists(field))).toEqual([]);
  });
});
