import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { diagnose } from "./diagnose/index.js";
import { shopSpans } from "./shop.test-support.js";
import { renderWaterfall } from "./waterfall/index.js";

const README = readText("../README.md");

describe("the README", () => {
  test("shows the code of readme-example.test.ts", () => {
    const file = readText("readme-example.test.ts");
    const [, code = ""] = /\/\/ #region .*\n([\s\S]*?)\/\/ #endregion/.exec(file) ?? [];

    expect(blocksOf("ts")).toEqual([code.replace("./shop.test-support.js", "./shop.js")]);
  });

  test("shows the waterfall of a broken trace as it is", () => {
    const { spans } = shopSpans(true);

    const waterfall = renderWaterfall(spans, { diagnosis: diagnose(spans) });

    expect(blocksOf("text")).toEqual([`${waterfall}\n`]);
  });

  test("lists every verdict", () => {
    const source = readText("diagnose/verdicts.ts");
    const codes = [...source.matchAll(/^ {2}\| "([A-Z_]+)"/gm)].map(([, code]) => code);

    expect(codes.length).toBeGreaterThan(10);
    for (const code of codes) expect(README).toContain(`| \`${code}\``);
  });

  test.each([
    ["ReceiverOptions", "receiver/index.ts"],
    ["WaitOptions", "receiver/wait.ts"],
    ["DiagnoseOptions", "diagnose/index.ts"],
    ["WaterfallOptions", "waterfall/index.ts"],
  ])("lists every field of %s", (name, file) => {
    const [, body = ""] =
      new RegExp(`interface ${name} \\{\\n([\\s\\S]*?)\\n\\}`).exec(readText(file)) ?? [];
    const fields = [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, field]) => field);

    expect(fields.length).toBeGreaterThan(2);
    for (const field of fields) expect(README).toMatch(new RegExp(`^\\| .*\`${field}\``, "m"));
  });
});

function blocksOf(language: string): string[] {
  const blocks = README.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, "g"));
  return [...blocks].map(([, block = ""]) => block);
}

function readText(file: string): string {
  return readFileSync(new URL(file, import.meta.url), "utf8");
}
