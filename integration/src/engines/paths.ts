import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

const REPOSITORY = "@traceferry/repository";

/** The repository's root. It is searched for upwards from this file, which runs from src and from dist. */
export const REPOSITORY_ROOT = findRoot(import.meta.dirname);

/** The folder for downloads and builds. Default: .cache at the repository's root. TRACEFERRY_CACHE moves it. */
export function cacheFolder(): string {
  // Absolute, because Maven would resolve it against the folder of its own file.
  return resolve(process.env.TRACEFERRY_CACHE || join(REPOSITORY_ROOT, ".cache"));
}

function findRoot(folder: string): string {
  const file = join(folder, "package.json");
  if (existsSync(file) && nameIn(readFileSync(file, "utf8")) === REPOSITORY) return folder;
  const parent = dirname(folder);
  if (parent === folder) throw new Error(`no package.json named "${REPOSITORY}" above ${folder}`);
  return findRoot(parent);
}

function nameIn(manifest: string): unknown {
  const parsed: unknown = JSON.parse(manifest);
  return typeof parsed === "object" && parsed !== null && "name" in parsed
    ? parsed.name
    : undefined;
}
