import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";

const SOURCES = join(import.meta.dirname, "..");

test("the receiver reaches the span model and the OTLP decoder, and nothing that looks at traces", () => {
  const receiver = globSync("receiver/*.ts", { cwd: SOURCES }).filter(
    (file) => !file.endsWith(".test.ts"),
  );

  const others = [...reachedFrom(receiver)].filter((file) => !file.startsWith("receiver/"));

  expect(receiver).toContain("receiver/index.ts");
  expect(others).toContain("span.ts");
  expect(others.filter((file) => file !== "span.ts" && !file.startsWith("otlp/"))).toEqual([]);
});

/** The files that these files import, at any remove, types included. */
function reachedFrom(files: readonly string[]): Set<string> {
  const reached = new Set(files);
  // A Set may grow while it is iterated.
  for (const file of reached) {
    for (const [, from = ""] of readFileSync(join(SOURCES, file), "utf8").matchAll(
      /\bfrom "(\.[^"]+)\.js"/g,
    )) {
      reached.add(join(dirname(file), `${from}.ts`));
    }
  }
  return reached;
}
