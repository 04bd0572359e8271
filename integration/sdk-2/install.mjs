// Installs the SDK 2.12 line from the lockfile beside this file, unless it is there already.
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";

const installed = new URL("node_modules/.package-lock.json", import.meta.url);
const wanted = new URL("package-lock.json", import.meta.url);
if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(wanted).mtimeMs)
  process.exit();

const { status } = spawnSync("npm", ["ci", "--workspaces=false", "--no-audit", "--no-fund"], {
  cwd: import.meta.dirname,
  stdio: "inherit",
});
process.exit(status ?? 1);
