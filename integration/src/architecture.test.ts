import { existsSync, globSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { REPOSITORY_ROOT } from "./engines/paths.js";

// Holds CONTRIBUTING.md's map, its words and the packages' sections to what is really there.

// The packages that each package may import at run time, besides Node and the OpenTelemetry API.
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  grpc: ["@traceferry/core", "@grpc/grpc-js"],
  kafka: ["@traceferry/core"],
  bullmq: ["@traceferry/core", "bullmq"],
  nestjs: [
    "@traceferry/core",
    "@traceferry/grpc/carrier",
    "@traceferry/kafka",
    "@nestjs/common",
    "@nestjs/core",
    "rxjs",
  ],
  traces: ["@bufbuild/protobuf", "@grpc/grpc-js", "picocolors", "string-width"],
  testkit: [
    "@opentelemetry/context-async-hooks",
    "@opentelemetry/core",
    "@opentelemetry/sdk-trace",
    "@traceferry/traces",
    "vitest",
  ],
  contract: ["@traceferry/testkit"],
};
const ADAPTERS = ["grpc", "kafka", "bullmq", "nestjs"];
const ADAPTER_FILES = ["carrier", "incoming", "outgoing", "attributes", "options", "index"];
const MAX_LINES = 300;
const SOURCE_CONDITION = "@traceferry/source";
const EXPORT = /export (type )?\{([^}]*)\} from "([^"]+)";/g;

const packages = readPackages();
const integration = readSources("integration/src");
const contributing = readText("CONTRIBUTING.md");

test("every package has its line in the table of who imports what", () => {
  expect(packages.map(({ folder }) => folder)).toEqual(Object.keys(MAY_IMPORT).toSorted());
});

describe.each(packages)("the package $folder", ({ folder, manifest, sources }) => {
  const named = new Set(Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }));

  test("imports only what the table allows and its manifest names", () => {
    const allowed = [...(MAY_IMPORT[folder] ?? []), "@opentelemetry/api"];
    const wrong = sources.flatMap(({ file, text }) =>
      runTimeImports(text)
        .filter((from) => !from.startsWith(".") && !from.startsWith("node:"))
        .filter((from) => !isWithin(from, allowed) || !named.has(packageOf(from)))
        .map((from) => `${file} imports ${from}`),
    );
    expect(wrong).toEqual([]);
  });

  test("names for each entry the source first, which types and tests follow, then what is built", () => {
    const { "./package.json": _, ...entries } = manifest.exports;
    const wrong = Object.entries(entries).flatMap(([entry, conditions]) => {
      const source = typeof conditions === "string" ? undefined : conditions[SOURCE_CONDITION];
      const isFirst = source !== undefined && Object.keys(conditions)[0] === SOURCE_CONDITION;
      const isThere = existsSync(join(REPOSITORY_ROOT, "packages", folder, source ?? "missing"));
      const built = source?.replace("./src/", "./dist/").replace(/\.ts$/, "");
      const expected = { types: `${built}.d.ts`, default: `${built}.js` };
      const { types, default: main } = typeof conditions === "string" ? {} : conditions;
      const follows = types === expected.types && main === expected.default;
      return isFirst && isThere && follows ? [] : [entry];
    });
    expect(wrong).toEqual([]);
  });

  test("tells the version of its manifest, where it tells one", () => {
    const version = sources.find(({ file }) => file === "version.ts");
    if (version !== undefined) {
      expect(version.text).toContain(`VERSION = "${manifest.version}"`);
    }
    expect(version !== undefined).toBe(folder === "core" || ADAPTERS.includes(folder));
  });

  test(`has no source file of more than ${MAX_LINES} lines`, () => {
    const long = sources.filter(({ text }) => text.split("\n").length > MAX_LINES + 1);
    expect(long.map(({ file }) => file)).toEqual([]);
  });

  test("has one entry for each folder, index.ts, and no file of the folder's name", () => {
    const inFolders = sources.map(({ file }) => dirname(file)).filter((path) => path !== ".");
    const files = new Set(sources.map(({ file }) => file));
    const wrong = [...new Set(inFolders)].flatMap((path) => [
      ...(files.has(`${path}/index.ts`) ? [] : [`${path} has no index.ts`]),
      ...[`${path}.ts`, `${path}/${basename(path)}.ts`].filter((file) => files.has(file)),
    ]);
    expect(wrong).toEqual([]);
  });

  test("has tests in .test.ts, and what helps them in .test-support.ts", () => {
    const other = globSync("**/*.test*.ts", {
      cwd: join(REPOSITORY_ROOT, "packages", folder, "src"),
    }).filter((file) => !/\.(test|test-support)\.ts$/.test(file));
    expect(other).toEqual([]);
  });
});

describe.each(packages.filter(({ manifest }) => !manifest.private))(
  "the list of names of $folder",
  ({ folder, manifest, sources }) => {
    const index = sources.find(({ file }) => file === "index.ts")?.text ?? "";
    const sections = sectionsOf(index);

    test("has nothing but names, those for users first", () => {
      const rest = index.replace(/^\/\/ .*$/gm, "").replace(EXPORT, "");
      expect(rest.trim()).toBe("");
      expect(sections[0]?.title).toBe("For users.");
    });

    test("has a blank line behind each title, or names would be sorted across it", () => {
      const titles = index.match(/^\/\/ For .*$/gm) ?? [];
      expect(index.match(/^\/\/ For .*\.\n\n/gm)).toHaveLength(titles.length);
    });

    test("lists for users what the README shows, and for others what others import", () => {
      const readme = readText(`packages/${folder}/README.md`);
      const others = packages
        .filter((other) => other.folder !== folder)
        .flatMap(({ all }) => all)
        .concat(integration)
        .flatMap(({ text }) => namesImportedFrom(text, manifest.name));
      const wrong = sections.flatMap(({ title, names }) =>
        names
          .filter((name) => title !== "For users." || !readme.includes(name))
          .filter(
            (name) => title === "For users." || !(others.includes(name) || readme.includes(name)),
          )
          .map((name) => `${title} ${name}`),
      );
      expect(wrong).toEqual([]);
    });
  },
);

describe.each(packages.filter(({ folder }) => ADAPTERS.includes(folder)))(
  "the adapter $folder",
  ({ sources }) => {
    const isPart = (file: string, part: string) =>
      file === `${part}.ts` || file.startsWith(`${part}/`);

    test.each(ADAPTER_FILES)("has %s, as every adapter does", (part) => {
      expect(sources.some(({ file }) => isPart(file, part))).toBe(true);
    });

    test("has its pure inject and extract functions in carrier", () => {
      const pure = /export function (inject|extract)[A-Z]\w*/g;
      const elsewhere = sources
        .filter(({ file, text }) => !isPart(file, "carrier") && text.match(pure))
        .map(({ file }) => file);
      expect(elsewhere).toEqual([]);
      const inCarrier = sources
        .filter(({ file }) => isPart(file, "carrier"))
        .flatMap(({ text }) => [...text.matchAll(pure)].map(([, verb]) => verb));
      expect([...new Set(inCarrier)].toSorted()).toEqual(["extract", "inject"]);
    });

    test("spells attribute names in attributes only", () => {
      const spelled = sources
        .filter(({ file }) => !isPart(file, "attributes"))
        .filter(({ text }) =>
          /["'](messaging|rpc|http|server|network|url|error)\.[a-z_.]+["']/.test(text),
        );
      expect(spelled.map(({ file }) => file)).toEqual([]);
    });
  },
);

describe("CONTRIBUTING.md", () => {
  test("names no file and no folder in its map that is not there", () => {
    const map = section(contributing, "The map");
    const paths = [...map.matchAll(/^\s*((?:packages|integration|proto|\.ci)[\w./-]*)/gm)].map(
      ([, path = ""]) => path,
    );
    expect(paths.length).toBeGreaterThan(10);
    expect(paths.filter((path) => !existsSync(join(REPOSITORY_ROOT, path)))).toEqual([]);
    const missing = packages
      .map(({ folder }) => `packages/${folder}`)
      .filter((path) => !paths.includes(path));
    expect(missing).toEqual([]);
  });

  test("explains only words that the sources use, in at most 30 lines", () => {
    const glossary = section(contributing, "Words of our own").match(/^\|.*$/gm) ?? [];
    const words = glossary.flatMap((line) => /^\| `([^`]+)`/.exec(line)?.[1] ?? []);
    const code = packages.flatMap(({ sources }) => sources.map(({ text }) => text)).join("\n");
    expect(words.length).toBeGreaterThan(5);
    expect(glossary.length).toBeLessThanOrEqual(30);
    expect(words.filter((word) => !new RegExp(`\\b${word}`, "i").test(code))).toEqual([]);
  });

  test("names the limits that tests hold", () => {
    expect(contributing).toContain(`about ${MAX_LINES} lines`);
    const budget = /BUDGET_MINUTES = (\d+)/.exec(readText(".ci/count.mjs"))?.[1];
    expect(contributing).toContain(`${budget} minutes`);
  });
});

test("types and unit tests resolve packages to their sources", () => {
  expect(readText("tsconfig.base.json")).toContain(`"customConditions": ["${SOURCE_CONDITION}"]`);
  expect(readText("vitest.config.ts")).toContain(`conditions: ["${SOURCE_CONDITION}",`);
});

test("the repository has a name that no package of it is published under", () => {
  const { name } = z.object({ name: z.string() }).parse(JSON.parse(readText("package.json")));
  const published = packages.flatMap(({ manifest }) => [
    manifest.name,
    ...Object.keys(manifest.bin),
  ]);
  expect(published).not.toContain(name);
});

interface Source {
  /** Relative to `src`. */
  readonly file: string;
  readonly text: string;
}

function readPackages() {
  const schema = z.object({
    name: z.string(),
    version: z.string(),
    private: z.boolean().default(false),
    bin: z.record(z.string(), z.string()).default({}),
    exports: z.record(z.string(), z.union([z.string(), z.record(z.string(), z.string())])),
    dependencies: z.record(z.string(), z.string()).default({}),
    peerDependencies: z.record(z.string(), z.string()).default({}),
  });
  const manifests = globSync("packages/*/package.json", { cwd: REPOSITORY_ROOT }).toSorted();
  return manifests.map((path) => {
    const folder = basename(dirname(path));
    const all = readSources(`packages/${folder}/src`);
    return {
      folder,
      manifest: schema.parse(JSON.parse(readText(path))),
      all,
      sources: all.filter(({ file }) => !/\.(test|test-support)\./.test(file)),
    };
  });
}

function readSources(folder: string): Source[] {
  const files = globSync("**/*.ts", { cwd: join(REPOSITORY_ROOT, folder) }).toSorted();
  return files.map((file) => ({ file, text: readText(join(folder, file)) }));
}

function readText(path: string): string {
  return readFileSync(join(REPOSITORY_ROOT, path), "utf8");
}

// The parts of an `index.ts` under their titles, with the names that each exports.
function sectionsOf(index: string): { title: string; names: string[] }[] {
  return index
    .split(/^\/\/ (?=For )/m)
    .slice(1)
    .map((part) => ({
      title: part.split("\n", 1)[0] ?? "",
      names: [...part.matchAll(EXPORT)].flatMap(([, type, names = ""]) =>
        type === undefined ? valuesIn(names) : [],
      ),
    }));
}

// Without types: users find those by the functions that take them.
function valuesIn(names: string): string[] {
  return names
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "" && !name.startsWith("type "))
    .map((name) => name.split(" as ").at(-1) ?? name);
}

function namesImportedFrom(text: string, name: string): string[] {
  const imports = text.matchAll(/import \{([^}]*)\} from "([^"]+)";/g);
  return [...imports]
    .filter(([, , from = ""]) => isWithin(from, [name]))
    .flatMap(([, names = ""]) => valuesIn(names));
}

function section(text: string, title: string): string {
  return text.split(`\n## ${title}\n`)[1]?.split("\n## ")[0] ?? "";
}

function runTimeImports(source: string): string[] {
  const statements = source.matchAll(
    /^(?:import|export)\s+(?!type\b)(?:[^;"']*?\sfrom\s+)?["']([^"']+)["'];/gm,
  );
  const dynamic = source.matchAll(/\bimport\(["']([^"']+)["']\)/g);
  return [...statements, ...dynamic].map(([, from]) => from ?? "");
}

function packageOf(from: string): string {
  return from.split("/", from.startsWith("@") ? 2 : 1).join("/");
}

function isWithin(from: string, allowed: readonly string[]): boolean {
  return allowed.some((name) => from === name || from.startsWith(`${name}/`));
}
