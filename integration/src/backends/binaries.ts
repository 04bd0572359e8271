import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isCached, keep } from "../engines/local/cache.js";
import { REPOSITORY_ROOT } from "../engines/paths.js";
import type { Scope } from "../engines/scope.js";
import { runTool, versionOf } from "../peers/run.js";

export type BinaryName = "collector" | "jaeger";

interface Binary {
  /** For people. */
  readonly title: string;
  /** What is built, in the recipe's module. */
  readonly main: string;
  /** How long that takes where Go's own cache is empty, for people. */
  readonly takes: string;
}

const BINARIES: Readonly<Record<BinaryName, Binary>> = {
  collector: {
    title: "OpenTelemetry Collector",
    main: ".",
    takes: "about two minutes on 2 cores",
  },
  jaeger: {
    title: "Jaeger",
    // Its program is a package of a module that ours requires; `go install` refuses a module that has a replacement.
    main: "github.com/jaegertracing/jaeger/cmd/jaeger",
    takes: "four to five minutes on 2 cores",
  },
};

export const BINARY_NAMES: readonly BinaryName[] = ["collector", "jaeger"];

/** The executable, built first where it is not in the cache. @throws what is missing, or what Go said */
export async function binary(scope: Scope, name: BinaryName): Promise<string> {
  const { title, main, takes } = BINARIES[name];
  const folder = await keep(scope, cacheName(name), async (part) => {
    const missing = await missingGo();
    if (missing !== undefined) throw new Error(`${title} cannot be built: ${missing}`);
    await runTool(
      scope,
      `${title}: building, once (${takes})`,
      {
        file: "go",
        arguments: [
          "build",
          // Only what is named in go.sum, and just as it is there.
          "-mod=readonly",
          "-buildvcs=false",
          "-trimpath",
          ...["-ldflags", "-s -w", "-o", join(part, name), main],
        ],
      },
      { cwd: recipeOf(name), env: { CGO_ENABLED: "0", GOWORK: "off", GOFLAGS: "" } },
    );
  });
  return join(folder, name);
}

/** Whether the executable is there, and a start takes no build. */
export function isBuilt(name: BinaryName): boolean {
  return isCached(cacheName(name));
}

/** What is missing on this machine to build; nothing when all is there. */
async function missingGo(): Promise<string | undefined> {
  return (await versionOf("go", "version")) === undefined
    ? "go is not installed: install Go 1.26 or newer"
    : undefined;
}

/** A name that changes with the recipe. The same recipe gives the same program, whichever Go built it. */
function cacheName(name: BinaryName): string {
  const folder = recipeOf(name);
  const hash = createHash("sha256").update(`${process.platform}-${process.arch}`);
  for (const file of readdirSync(folder).sort()) {
    hash.update(file).update(readFileSync(join(folder, file)));
  }
  return `${name}-${hash.digest("hex").slice(0, 12)}`;
}

function recipeOf(name: BinaryName): string {
  return join(REPOSITORY_ROOT, "integration/backends", name);
}
