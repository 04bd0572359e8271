// Every entry of every package, by `import` and by `require`: a CommonJS application on Node 22.12 loads them too.
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";

// From an application's folder that sees all packages and their peers.
const application = new URL("../package.json", import.meta.url);
const require = createRequire(application);
const packages = new URL("../../packages/", import.meta.url);

for (const folder of readdirSync(packages)) {
  const manifest = JSON.parse(readFileSync(new URL(`${folder}/package.json`, packages), "utf8"));
  for (const entry of Object.keys(manifest.exports)) {
    // The matcher extends vitest's expect and can only be loaded inside a test run.
    if (entry === "./package.json" || entry === "./vitest") continue;
    const name = manifest.name + entry.slice(1);
    const imported = Object.keys(await import(name)).sort();
    const required = Object.keys(require(name))
      .filter((key) => key !== "__esModule")
      .sort();
    if (imported.length === 0) throw new Error(`${name} exports nothing`);
    if (imported.join() !== required.join()) {
      throw new Error(`${name}: import gives ${imported}, require gives ${required}`);
    }
    console.log(
      `${name}: ${imported.length} names by import and by require, Node ${process.version}`,
    );
  }
}
