import { readFileSync } from "node:fs";
import { evaluateUnbroken } from "@traceferry/traces";
import { describe, expect, test } from "vitest";
import { shopSpans } from "./shop.test-support.js";

const readme = textOf("../README.md");

describe("the README", () => {
  test("shows the code of its two tests", () => {
    const examples = ["readme.test.ts", "readme-by-hand.test.ts"].map((file) => {
      const [, code = ""] = /\/\/ #region .*\n([\s\S]*?)\/\/ #endregion/.exec(textOf(file)) ?? [];
      return code.replace("./shop.test-support.js", "./shop.js");
    });

    expect(blocksOf("ts")).toEqual(examples);
  });

  test("shows the message of a failure as it is", () => {
    const { message } = evaluateUnbroken(shopSpans(true).spans, {
      root: { service: "gateway" },
      path: ["gateway", "orders", "mailer"],
    });

    expect(blocksOf("text")).toEqual([`${message}\n`]);
  });

  test("lists every verdict", () => {
    const source = textOf("../../traces/src/diagnose/verdicts.ts");
    const codes = [...source.matchAll(/^ {2}\| "([A-Z_]+)"/gm)].map(([, code]) => code);

    expect(codes.length).toBeGreaterThan(10);
    for (const code of codes) expect(readme).toContain(`| \`${code}\``);
  });
});

function blocksOf(language: string): string[] {
  const blocks = readme.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, "g"));
  return [...blocks].map(([, block = ""]) => block);
}

function textOf(file: string): string {
  return readFileSync(new URL(file, import.meta.url), "utf8");
}
