import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { REPOSITORY_ROOT } from "../engines/paths.js";
import type { Scope } from "../engines/scope.js";

/** The languages of the peers. */
export type Language = "go" | "python" | "java";

/** How a program is started. */
export interface Command {
  readonly file: string;
  readonly arguments: readonly string[];
  /** The working directory. Default: that of this process. */
  readonly cwd?: string;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** The programs in one other language: what they need, how they are built and started. */
export interface Peer {
  readonly language: Language;
  /** The tools that are missing on this machine to build and run them. Undefined when none is. */
  missingTools(): Promise<string | undefined>;
  /** Builds them into the cache, unless they are there. Returns the folder. @throws with the last lines of the build */
  build(scope: Scope): Promise<string>;
  /** The command that starts one of them. @param folder - the result of `build` */
  command(folder: string, program: string): Command;
}

/** The folder with the sources of a language. */
export function sourcesOf(language: string): string {
  return join(REPOSITORY_ROOT, "integration/peers", language);
}

/**
 * A name for the cache that changes with every source file and with the version of the toolchain.
 *
 * @param built - the names of folders with build results, which are not sources
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
