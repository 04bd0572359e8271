import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isCached, keep } from "../engines/local/cache.js";
import { REPOSITORY_ROOT } from "../engines/paths.js";
import type { Scope } from "../engines/scope.js";
import { runTool, versionOf } from "../peers/run.js";

/** The programs that are built from Go modules. */
export type BinaryName = "collector" | "jaeger";

interface Binary {
  /** Its name for people. */
  readonly title: string;
  /** The package to build, in the module of the recipe. */
  readonly main: string;
  /** The duration of a build with an empty Go cache, for people. */
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
    // A package of a module that the recipe requires: `go install` rejects a module with a replacement.
    main: "github.com/jaegertracing/jaeger/cmd/jaeger",
    takes: "four to five minutes on 2 cores",
  },
};

/** All of them. */
export const BINARY_NAMES: readonly BinaryName[] = ["collector", "jaeger"];

/** Returns the executable, built first unless it is in the cache. @throws what is missing, or the output of Go */
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
          // Only the modules in go.sum, with the checksums there.
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

/** True when the executable is in the cache, so that a start needs no build. */
export function isBuilt(name: BinaryName): boolean {
  return isCached(cacheName(name));
}

/** The tool that is missing on this machine to build it. Undefined when none is. */
async function missingGo(): Promise<string | undefined> {
  return (await versionOf("go", "version")) === undefined
    ? "go is not installed: install Go 1.26 or newer"
    : undefined;
}

/** A name that changes with the recipe. The version of Go is not part of it. */
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
