import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder } from "../paths.js";
import type { Scope } from "../scope.js";

/** The path of a folder in the cache, whether it is there or not. */
export function cached(name: string): string {
  return join(cacheFolder(), name);
}

/** True when the folder is in the cache. A folder that is there is complete. */
export function isCached(name: string): boolean {
  return existsSync(cached(name));
}

/**
 * Returns the path of a folder in the cache, and fills it first when it is missing. It is filled under another name and
 * renamed when it is complete, so that an interrupted download never looks complete, and two processes do not mix theirs.
 */
export async function keep(
  scope: Scope,
  name: string,
  fill: (folder: string) => Promise<void>,
): Promise<string> {
  const folder = cached(name);
  if (existsSync(folder)) return folder;
  await mkdir(cacheFolder(), { recursive: true });
  const part = await mkdtemp(join(cacheFolder(), `${name}.part-`));
  scope.reaper.addFolder(part);
  try {
    await fill(part);
    await rename(part, folder);
  } catch (error) {
    // Another process may have filled it meanwhile.
    if (!existsSync(folder)) throw error;
  } finally {
    await rm(part, { recursive: true, force: true });
  }
  return folder;
}
