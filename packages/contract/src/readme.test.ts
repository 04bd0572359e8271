import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

const readme = textOf("../README.md");

describe("the README", () => {
  test("shows code of the tests as it is", () => {
    const examples = [...readme.matchAll(/<!-- (\S+) -->\n```ts\n([\s\S]*?)```/g)];

    expect(examples).toHaveLength(readme.match(/```ts/g)?.length ?? 0);
    for (const [, file, code] of examples) expect(textOf(`../${file}`)).toContain(code);
  });

  test("explains every member of Adapter and Harness", () => {
    const members = ["Adapter", "Harness"].flatMap(membersOf);

    expect(members.length).toBeGreaterThan(15);
    const rows = readme.match(/^\|.*\|/gm)?.join("\n");
    for (const member of members) expect(rows).toContain(`\`${member}\``);
  });

  test("names every file of cases", () => {
    const files = [...textOf("index.ts").matchAll(/import \{ \w+ \} from "\.\/(\S+)\.js"/g)];

    expect(files.length).toBeGreaterThan(10);
    for (const [, file] of files) expect(readme).toContain(`[${file}](src/${file}.ts)`);
  });
});

function membersOf(name: string): string[] {
  const adapter = textOf("adapter.ts");
  const body = new RegExp(`^export interface ${name} [\\s\\S]*?^}`, "m").exec(adapter)?.[0] ?? "";
  return [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??[:(]/gm)].map(([, member = ""]) => member);
}

function textOf(file: string): string {
  return readFileSync(new URL(file, import.meta.url), "utf8");
}
