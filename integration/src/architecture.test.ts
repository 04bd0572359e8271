import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { repositoryRoot } from "./engines/paths.js";

// Who may import whom at run time, and which rooms an adapter has: what CONTRIBUTING.md says, held true.
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
  testkit: [
    "@bufbuild/protobuf",
    "@grpc/grpc-js",
    "@opentelemetry/context-async-hooks",
    "@opentelemetry/core",
    "@opentelemetry/sdk-trace",
    "picocolors",
    "string-width",
    "vitest",
  ],
};
const ADAPTERS = ["grpc", "kafka", "bullmq", "nestjs"];
const ROOMS = ["carrier", "incoming", "outgoing", "attributes", "options", "index"];

const manifest = z.object({
  name: z.string(),
  version: z.string(),
  dependencies: z.record(z.string(), z.string()).default({}),
  peerDependencies: z.record(z.string(), z.string()).default({}),
});

describe.each(Object.keys(MAY_IMPORT))("the package %s", (name) => {
  const folder = join(repositoryRoot, "packages", name);
  const { version, dependencies, peerDependencies } = manifest.parse(
    JSON.parse(readFileSync(join(folder, "package.json"), "utf8")),
  );
  const sources = globSync("src/**/*.ts", { cwd: folder }).filter((file) => !/\.test\./.test(file));

  test("imports only what its place in the house allows, and what its manifest names", () => {
    const allowed = [...(MAY_IMPORT[name] ?? []), "@opentelemetry/api"];
    const named = new Set([...Object.keys(dependencies), ...Object.keys(peerDependencies)]);
    const wrong = sources.flatMap((file) =>
      runTimeImports(readFileSync(join(folder, file), "utf8"))
        .filter((from) => !from.startsWith(".") && !from.startsWith("node:"))
        .filter((from) => !isWithin(from, allowed) || !named.has(packageOf(from)))
        .map((from) => `${file} imports ${from}`),
    );
    expect(wrong).toEqual([]);
  });

  test("tells the version of its manifest", () => {
    const file = join(folder, "src/version.ts");
    if (existsSync(file)) expect(readFileSync(file, "utf8")).toContain(`VERSION = "${version}"`);
    else expect(name).toBe("testkit");
  });

  test("has no file that outgrew its room", () => {
    const long = sources.filter(
      (file) => readFileSync(join(folder, file), "utf8").split("\n").length > 300,
    );
    expect(long).toEqual([]);
  });
});

test.each(ADAPTERS)("the adapter %s has the rooms that every adapter has", (name) => {
  const src = join(repositoryRoot, "packages", name, "src");
  const missing = ROOMS.filter(
    (room) => !existsSync(join(src, `${room}.ts`)) && !existsSync(join(src, room)),
  );
  expect(missing).toEqual([]);
});

test.each(ADAPTERS)("the adapter %s lists its names for users above those for adapters", (name) => {
  const index = readFileSync(join(repositoryRoot, "packages", name, "src/index.ts"), "utf8");
  const code = index
    .replace(/^\s*\/\/.*$/gm, "")
    .replace(/export (type )?\{[^}]*\} from "[^"]+";/g, "");
  expect(code.trim()).toBe("");
  expect(index).toMatch(/^\/\/ For users\.\n/);
});

test.each(ADAPTERS)("the adapter %s spells attribute names in attributes.ts only", (name) => {
  const folder = join(repositoryRoot, "packages", name, "src");
  const spelled = globSync("**/*.ts", { cwd: folder })
    .filter((file) => !/\.test\.|^attributes/.test(file))
    .filter((file) =>
      /["'](messaging|rpc|http|server|network|url|error)\.[a-z_.]+["']/.test(
        readFileSync(join(folder, file), "utf8"),
      ),
    );
  expect(spelled).toEqual([]);
});

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
