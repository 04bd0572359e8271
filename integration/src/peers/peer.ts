import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { REPOSITORY_ROOT } from "../engines/paths.js";
import type { Scope } from "../engines/scope.js";

export type Language = "go" | "python" | "java";

/** A program as it is started. */
export interface Command {
  readonly file: string;
  readonly arguments: readonly string[];
  /** Default: where this process is. */
  readonly cwd?: string;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** The programs of one other language: what they need, how they are built, and how each is started. */
export interface Peer {
  readonly language: Language;
  /** What is missing on this machine to build and run them; nothing when all is there. */
  missingTools(): Promise<string | undefined>;
  /** Builds what is not built yet, into the cache. Gives the folder. @throws with the builder's last lines */
  build(scope: Scope): Promise<string>;
  /** @param folder - what `build` gave */
  command(folder: string, program: string): Command;
}

/** The folder of a language's sources. */
export function sourcesOf(language: string): string {
  return join(REPOSITORY_ROOT, "integration/peers", language);
}

/**
 * A name for the cache that changes with every source file and with the version of the toolchain. What was built
 * beside the sources by hand does not count.
 *
 * @param built - folders, by name, that are not sources
 */
export function buildName(language: string, version: string, built: readonly string[]): string {
  const root = sourcesOf(language);
  const hash = createHash("sha256").update(version);
  const files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter(
      (file) =>
        !file
          .slice(root.length)
          .split("/")
          .some((part) => built.includes(part)),
    )
    .sort();
  for (const file of files) hash.update(file.slice(root.length)).update(readFileSync(file));
  return `${language}-${hash.digest("hex").slice(0, 12)}`;
}
