import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, lstat, mkdir, readdir, readFile, readlink, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { nodeFileTrace } from "@vercel/nft";
import { REPOSITORY_ROOT } from "../engines/paths.js";
import { ROLES } from "../topology/roles.js";

const DIST = "integration/dist";
const MANIFEST = "package.json";
// Loaded by name at run time, so that no import leads there.
const LOADED_BY_NAME = [
  "node_modules/@opentelemetry/instrumentation/hook.mjs",
  "node_modules/import-in-the-middle/hook.mjs",
];

/** The digest of all files that the roles in TypeScript consist of. */
export async function nodeInputs(): Promise<string> {
  const hash = createHash("sha256");
  const folders = [`${DIST}/roles`, `${DIST}/system`, "proto"];
  for (const name of await readdir(join(REPOSITORY_ROOT, "packages"))) {
    folders.push(`packages/${name}/dist`);
  }
  const files = [`${DIST}/../${MANIFEST}`];
  for (const folder of folders) files.push(...(await filesIn(folder)));
  for (const file of files.filter(isRuntimeFile).sort()) {
    hash.update(file).update(await readFile(join(REPOSITORY_ROOT, file)));
  }
  // The lockfile of the installed libraries stands for their thousands of files.
  hash.update(await readFile(join(REPOSITORY_ROOT, "node_modules/.package-lock.json")));
  return hash.digest("hex");
}

/**
 * Copies the files that the roles need at run time: their own, and of each library those that an import leads to. Links to
 * workspaces stay links.
 */
export async function copyNodeFiles(target: string): Promise<void> {
  const stock = `${DIST}/system/stock.js`;
  const entries = [
    ...ROLES.map(({ entry }) => `${DIST}/roles/${entry}`),
    ...[stock, ...LOADED_BY_NAME].filter((file) => existsSync(join(REPOSITORY_ROOT, file))),
  ];
  const { fileList, warnings } = await nodeFileTrace(
    entries.map((file) => join(REPOSITORY_ROOT, file)),
    { base: REPOSITORY_ROOT, processCwd: REPOSITORY_ROOT, conditions: ["node", "import"] },
  );
  await expectAllFound([...warnings].map(({ message }) => message));
  const files = new Set([...fileList, ...(await filesIn("proto"))]);
  for (const file of files) await copy(file, target);
}

// Libraries import optional packages that are not installed. Our own dependencies have to be.
async function expectAllFound(warnings: readonly string[]): Promise<void> {
  const manifest: unknown = JSON.parse(
    await readFile(join(REPOSITORY_ROOT, "integration", MANIFEST), "utf8"),
  );
  const dependencies = Object.keys(Object(Reflect.get(Object(manifest), "dependencies")));
  const missing = warnings
    .flatMap((text) => /^Failed to resolve dependency "([^"]+)"/.exec(text)?.[1] ?? [])
    .filter((wanted) =>
      dependencies.some((name) => wanted === name || wanted.startsWith(`${name}/`)),
    );
  if (missing.length > 0) throw new Error(`not installed (npm ci): ${missing.join(", ")}`);
}

async function copy(file: string, target: string): Promise<void> {
  const from = join(REPOSITORY_ROOT, file);
  const to = join(target, file);
  await mkdir(dirname(to), { recursive: true });
  const isLink = (await lstat(from)).isSymbolicLink();
  await (isLink ? symlink(await readlink(from), to) : copyFile(from, to));
}

function isRuntimeFile(file: string): boolean {
  return /\.(m?js|proto|json)$/.test(file) && !file.endsWith(".test.js");
}

async function filesIn(folder: string): Promise<string[]> {
  const path = join(REPOSITORY_ROOT, folder);
  if (!existsSync(path)) return [];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(REPOSITORY_ROOT.length + 1));
}
