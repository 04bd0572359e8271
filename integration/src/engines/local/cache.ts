import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder } from "../paths.js";
import type { Scope } from "../scope.js";

/** The folder of that name in the cache, filled or not. */
export function cached(name: string): string {
  return join(cacheFolder(), name);
}

/** True when the folder was filled to the end. */
export function isCached(name: string): boolean {
  return existsSync(cached(name));
}

/**
 * The cached folder, filled first where it is missing. It is filled under another name and renamed when it is
 * complete, so an interrupted download never looks like a finished one, and two at a time do not mix.
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
    // Another process may have been quicker; a folder that is there is complete.
    if (!existsSync(folder)) throw error;
  } finally {
    await rm(part, { recursive: true, force: true });
  }
  return folder;
}
