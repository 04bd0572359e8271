import { readFileSync } from "node:fs";

/** A README and the sources it speaks of, for tests that hold the two to each other. */
export class ReadmeUnderTest {
  readonly text: string;
  readonly #sources: string;

  /** @param sources - the URL of a file in the package's `src`: `import.meta.url` */
  constructor(sources: string) {
    this.#sources = sources;
    this.text = this.source("../README.md");
  }

  /** Returns the text of a file, by its path from `src`. */
  source(path: string): string {
    return readFileSync(new URL(path, this.#sources), "utf8");
  }

  /** Returns the code blocks of a language. */
  blocks(language: string): string[] {
    const blocks = this.text.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, "g"));
    return [...blocks].map(([, block = ""]) => block);
  }

  /** Returns the code between `// #region` and `// #endregion` of a file. */
  region(path: string): string {
    return /\/\/ #region .*\n([\s\S]*?)\/\/ #endregion/.exec(this.source(path))?.[1] ?? "";
  }

  /** Returns the fields of an interface in a file. */
  fieldsOf(name: string, path: string): string[] {
    const declaration = new RegExp(`interface ${name} \\{\\n([\\s\\S]*?)\\n\\}`);
    const body = declaration.exec(this.source(path))?.[1] ?? "";
    return [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, field = ""]) => field);
  }

  /** True when a row of a table names the field. */
  lists(field: string): boolean {
    return new RegExp(`^\\| .*\`${field}\``, "m").test(this.text);
  }
}
