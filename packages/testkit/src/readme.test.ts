import { readFileSync } from "node:fs";
import { evaluateUnbroken } from "@traceferry/traces";
import { describe, expect, test } from "vitest";
import { shopSpans } from "../../traces/src/shop.test-support.js";

const README = readText("../README.md");

describe("the README", () => {
  test("shows the code of readme-example.test.ts", () => {
    const file = readText("readme-example.test.ts");
    const [, code = ""] = /\/\/ #region .*\n([\s\S]*?)\/\/ #endregion/.exec(file) ?? [];

    expect(blocksOf("ts")).toEqual([
      code.replace("../../traces/src/shop.test-support.js", "./shop.js"),
    ]);
  });

  test("shows the message of a failure as it is, but for the waterfall", () => {
    const { message } = evaluateUnbroken(shopSpans(true).spans, {
      root: { service: "gateway" },
      path: ["gateway", "orders", "mailer"],
    });
    const [explanation, waterfall] = message.split("\ntrace ");

    expect(waterfall).toBeDefined();
    expect(blocksOf("text")).toEqual([explanation]);
  });

  test.each([
    ["UnbrokenExpectation", "../../traces/src/unbroken/expectation.ts"],
    ["RecordOptions", "record.ts"],
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
