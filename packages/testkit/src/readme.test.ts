import { evaluateUnbroken } from "@traceferry/traces";
import { describe, expect, test } from "vitest";
import { ReadmeUnderTest } from "../../traces/src/readme.test-support.js";
import { shopSpans } from "../../traces/src/shop.test-support.js";

const readme = new ReadmeUnderTest(import.meta.url);

describe("the README", () => {
  test("shows the code of readme-example.test.ts", () => {
    const code = readme.region("readme-example.test.ts");

    expect(readme.blocks("ts")).toEqual([
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
    expect(readme.blocks("text")).toEqual([explanation]);
  });

  test.each([
    ["UnbrokenExpectation", "../../traces/src/unbroken/expectation.ts"],
    ["RecordOptions", "record.ts"],
  ])("lists every field of %s", (name, file) => {
    const fields = readme.fieldsOf(name, file);

    expect(fields.length).toBeGreaterThan(2);
    expect(fields.filter((field) => !readme.lists(field))).toEqual([]);
  });
});
